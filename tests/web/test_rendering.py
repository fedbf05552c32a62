"""Formatting of values; template components and the content security policy; the style sheet."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from tools.gallery import gallery

from counterfoil.errors import NameTaken, SettingsError
from counterfoil.web import charts, formatting
from counterfoil.web.rendering import HERE, STATIC, environment, static

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)


class Tags(HTMLParser):
    """The elements of a page with their attributes, and the ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, name: str) -> list[str]:
        return [value for _, attrs in self.found if (value := attrs.get(name)) is not None]


def part(source: str, **values: object) -> str:
    """The HTML of a template string."""
    return environment().from_string(source).render(now=NOW, **values)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1234567, None, "1,234,567"),
        (-3, None, "−3"),
        (0, None, "0"),
        (Decimal("1.5"), 2, "1.50"),
        (None, None, "–"),
    ],
)
def test_numbers_are_grouped(value: int | None, digits: int | None, shown: str) -> None:
    assert formatting.number(value, digits) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the file is locked", "The file is locked"),
        ("can't connect", "Can't connect"),
        ("not found: ch_1", "Not found: ch_1"),
        ("--limit 0 is too small", "--limit 0 is too small"),
        ("'x' is not a number", "'x' is not a number"),
        ("3 rows differ", "3 rows differ"),
        ("counterfoil.duckdb is locked", "counterfoil.duckdb is locked"),
        ("brand_new is not a column", "brand_new is not a column"),
        ("", ""),
        (None, ""),
    ],
)
def test_sentence_case_capitalizes_words_only(text: str | None, shown: str) -> None:
    assert formatting.sentence_case(text) == shown


def test_long_name_breaks_after_dots_and_underscores() -> None:
    assert formatting.breakable("a.b_c__d") == "a.<wbr>b_<wbr>c__<wbr>d"
    assert formatting.breakable("<b>_&") == "&lt;b&gt;_<wbr>&amp;"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (123450, "usd", "1,234.50 USD"),
        (1050, "jpy", "1,050 JPY"),
        (1050, "kwd", "1.050 KWD"),
        (-5, "eur", "−0.05 EUR"),
        (Decimal("10.500"), "usd", "10.50 USD"),
        (7, "zzz", "7 minor units ZZZ"),
        (2**63 - 1, "usd", "92,233,720,368,547,758.07 USD"),
        (None, "usd", "–"),
        (12, None, "12"),
    ],
)
def test_money_has_currency_and_its_digits(amount: int | None, currency: str | None, shown: str) -> None:
    assert formatting.money(amount, currency) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.82, "820 ms"),
        (1, "1 s"),
        (59.6, "1 min"),
        (72, "1 min 12 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (7380, "2 h 3 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, shown: str) -> None:
    assert formatting.duration(seconds) == shown
    assert formatting.duration(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (3_400_000_000, "3.4 GB")]
)
def test_sizes_are_in_thousands(count: int, shown: str) -> None:
    assert formatting.size(count) == shown


@pytest.mark.parametrize(
    ("away", "shown"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=30), "in less than a minute"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=2, minutes=59), "in 2 hours"),
        (timedelta(days=-400), "1 year ago"),
    ],
)
def test_distances_use_the_largest_unit(away: timedelta, shown: str) -> None:
    assert f">{shown}</time>" in formatting.ago(NOW + away, NOW)


def test_instant_is_a_time_element_in_utc() -> None:
    at = datetime.fromisoformat("2027-01-04T13:30:05+01:00")
    assert formatting.instant(at, seconds=True) == (
        '<time datetime="2027-01-04T12:30:05Z" title="2027-01-04 12:30:05 UTC" data-local="second">'
        "2027-01-04 12:30:05 UTC</time>"
    )
    assert formatting.instant(None) == "–"


def test_no_component_violates_the_content_policy() -> None:
    for tag, attrs in Tags(gallery()).found:
        assert "style" not in attrs, (tag, attrs)
        assert tag != "style"
        assert tag != "script" or attrs["src"]
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        assert not any((attrs.get(name) or "").startswith("javascript:") for name in ("href", "action"))


def test_style_sheet_has_every_class_of_the_templates() -> None:
    """Otherwise run `tools/styles.py`, or correct the name of the class."""
    sheet = (STATIC / "app.css").read_text()
    known = {re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"\.((?:[\w-]|\\.)+)", sheet)}
    sources = [text.read_text() for text in (HERE / "templates").rglob("*.html")]
    fixed = [group for text in sources for group in re.findall(r'class="([^"{}]*)"', text)]
    used = {name for group in (*fixed, *Tags(gallery()).all("class")) for name in group.split()}
    assert used - known == set()


def test_controls_have_labels_and_references_resolve() -> None:
    tags = Tags(gallery())
    ids = tags.all("id")
    assert len(ids) == len(set(ids))
    labelled = set(tags.all("for"))
    for tag, attrs in tags.found:
        if tag in ("select", "textarea") or (tag == "input" and attrs.get("type") not in ("hidden", "radio")):
            assert attrs.get("id") in labelled or attrs.get("aria-label"), attrs
    for name in (
        "for",
        "aria-describedby",
        "aria-labelledby",
        "popovertarget",
        "data-open",
        "data-filter",
        "data-copy",
    ):
        assert {word for value in tags.all(name) for word in value.split()} <= set(ids), name


def test_field_keeps_input_and_references_its_error() -> None:
    text = part(
        '{% from "parts/forms.html" import field %}{{ field("name", "Name", typed, error=error) }}',
        typed='"><script>alert(1)</script>',
        error=NameTaken("dataset 'x' already exists", hint="Choose another.", code="taken"),
    )
    (attrs,) = [attrs for tag, attrs in Tags(text).found if tag == "input"]
    assert attrs["value"] == '"><script>alert(1)</script>'
    assert attrs["aria-invalid"] == "true"
    assert attrs["aria-describedby"] == "field-name-error"
    assert "<script>" not in text
    assert 'id="field-name-error" data-code="taken"' in text
    assert re.search(r">Dataset &#39;x&#39; already exists<span[^>]*>Choose another\.</span>", text) is not None


def test_error_box_shows_message_hint_and_request() -> None:
    source = '{% from "parts/notices.html" import error_box %}{{ error_box(error) }}'
    error = SettingsError("no <b>table</b>", hint="Choose another.", path="/v1/charges", request_id="req_1")
    text = part(source, error=error)
    assert ">No &lt;b&gt;table&lt;/b&gt;</p>" in text
    assert ">Choose another.</p>" in text
    assert "/v1/charges · request req_1" in text
    assert 'role="alert"' in text
    assert part(source, error=None).strip() == ""


def test_pane_shows_content_only_while_open() -> None:
    source = (
        '{% from "parts/panels.html" import step %}'
        '{% call step(2, "Details", state, "Charges", href) %}<input>{% endcall %}'
    )
    assert "<input>" in part(source, state="open", href=None)
    done = part(source, state="done", href="/datasets/new?pane=2")
    assert "<input>" not in done
    assert 'href="/datasets/new?pane=2"' in done
    assert "href" not in part(source, state="todo", href=None)


@pytest.mark.parametrize(("page", "words"), [(1, "1–50 of 101 rows"), (3, "101–101 of 101 rows")])
def test_pagination_shows_position_and_stops_at_the_ends(page: int, words: str) -> None:
    text = part(
        '{% from "parts/table.html" import pagination %}{{ pagination(page, 50, 101, url) }}',
        page=page,
        url=lambda page: f"?page={page}",
    )
    assert words in text
    links = Tags(text).all("href")
    assert links == (["?page=2", "?page=3"] if page == 1 else ["?page=1", "?page=2"])


@pytest.mark.parametrize(
    ("sort", "aria", "href"),
    [("rows", "ascending", "-rows"), ("-rows", "descending", "rows"), ("name", None, "-rows")],
)
def test_column_head_reverses_the_order(sort: str, aria: str | None, href: str) -> None:
    text = part(
        '{% from "parts/table.html" import sort_head %}'
        '{{ sort_head("Rows", "rows", sort, url, num=True, first="down") }}',
        sort=sort,
        url=lambda sort, page: sort,
    )
    assert Tags(text).all("aria-sort") == ([] if aria is None else [aria])
    assert Tags(text).all("href") == [href]


def test_undefined_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        part("{{ forgotten }}")


def test_static_url_depends_on_the_content() -> None:
    assert re.fullmatch(r"/static/app\.js\?v=[0-9a-f]{10}", static("app.js"))
    assert static("app.js").split("=")[1] != static("app.css").split("=")[1]


def test_nothing_is_loaded_from_other_sites() -> None:
    sheet = (STATIC / "app.css").read_text()
    assert "@import" not in sheet
    assert [url for url in re.findall(r"url\(([^)]*)\)", sheet) if not url.strip("\"'").startswith("data:")] == []
    assert not [src for src in Tags(gallery()).all("src") if not src.startswith("/static/")]


def test_bars_start_at_zero_and_are_proportional() -> None:
    drawn = charts.bars([("Mon", 100), ("Tue", 50), ("Wed", None), ("Thu", 0)], title="Rows", height=230)
    heights = [float(attrs["height"] or 0) for tag, attrs in Tags(drawn).found if tag == "rect"]
    assert heights == [200.0, 100.0, 0.0]
    assert "<desc>Mon: 100; Tue: 50; Wed: none; Thu: 0</desc>" in drawn


def test_line_breaks_at_missing_values() -> None:
    drawn = charts.line([("a", 1), ("b", None), ("c", 2), ("d", 3)], title="Rows")
    lines = [attrs["d"] or "" for tag, attrs in Tags(drawn).found if attrs.get("class") == "chart-line"]
    assert [line.count("L") for line in lines] == [0, 1]


def test_charts_accept_empty_and_constant_values() -> None:
    assert charts.sparkline([], title="Rows") == ""
    assert "<title>&lt;b&gt;</title>" in charts.sparkline([5, 5, 5], title="<b>")
    assert "NaN" not in charts.line([], title="Rows") + charts.bars([("a", 0)], title="Rows")


@pytest.mark.parametrize(("high", "top"), [(0, 1), (7, 8), (1_208_996, 1_500_000), (0.3, 0.3), (100, 100)])
def test_scale_ends_at_a_round_number_above_the_maximum(high: float, top: float) -> None:
    scale = charts.ticks(high)
    assert scale[0] == 0
    assert scale[-1] == pytest.approx(top)
    assert len(scale) <= 6
