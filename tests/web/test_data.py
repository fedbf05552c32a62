"""The page Data: rows sorted, filtered and paginated by the database; profiles and exports."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import quote

import duckdb
import pyarrow.parquet as pq
import pytest

from counterfoil.app.app import App
from counterfoil.state.dataset import Dataset
from tests.web.browser import Browser
from tests.web.conftest import Site
from tests.web.forms import codes
from tests.web.tabled import dataset, fill, watching


@pytest.fixture
def charges(app: App) -> Dataset:
    made = dataset(app)
    fill(app, made)
    return made


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def ids(text: str) -> list[str]:
    return re.findall(r'title="Show the full row">(ch_\d+)<', text)


def test_rows_are_sorted_filtered_and_counted(owner: Browser, charges: Dataset) -> None:
    text = owner.get(f"/datasets/{charges.id}/data?sort=-amount&f=currency~is~eur&page=2").text
    assert "51–100 of 250 rows" in text
    assert ids(text)[:2] == ["ch_0000798", "ch_0000794"]
    assert 'aria-sort="descending"' in text or "amount_major" in text


def test_column_head_cycles_through_orders(owner: Browser, charges: Dataset) -> None:
    path = f"/datasets/{charges.id}/data"
    for sort, link in (("", "sort=id"), ("id", "sort=-id"), ("-id", "")):
        text = owner.get(f"{path}?sort={sort}&size=100").text
        head = re.search(rf'href="{path}\?([^"]*)" title="[^"]*">id<', text)
        assert head is not None
        assert set(filter(None, head[1].split("&amp;"))) == set(filter(None, (link, "size=100")))
        assert owner.get(f"{path}?{head[1].replace('&amp;', '&')}").status == 200
    assert "size=" not in re.findall(r'href="[^"]*sort=[^"]*"', owner.get(path).text)[0]


def test_pages_contain_every_row_once(owner: Browser, charges: Dataset) -> None:
    found = [
        one for page in range(1, 5) for one in ids(owner.get(f"/datasets/{charges.id}/data?size=250&page={page}").text)
    ]
    assert sorted(found) == [f"ch_{n:07}" for n in range(1000)]
    last = owner.get(f"/datasets/{charges.id}/data?size=250&page=9999999999999999999").text
    assert ids(last) == found[-250:]


def test_added_filter_becomes_part_of_the_url(owner: Browser, charges: Dataset) -> None:
    answer = owner.get(f"/datasets/{charges.id}/data?f=currency~is~eur&column=amount&test=over&value=990&sort=id")
    assert answer.status == 303
    text = owner.follow(answer).text
    assert ids(text) == ["ch_0000994", "ch_0000998"]
    assert "Remove the filter amount is greater than 990" in text


def test_cells_show_currencies_and_nulls_and_are_escaped(owner: Browser, charges: Dataset) -> None:
    text = owner.get(f"/datasets/{charges.id}/data?sort=-id").text
    assert "9.98 EUR" in text
    assert "10 JPY" in text  # 9.990 has more digits than JPY
    assert '<span class="null">null</span>' in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_long_cell_is_shortened_and_shown_in_full_on_request(owner: Browser, charges: Dataset) -> None:
    text = owner.get(f"/datasets/{charges.id}/data?sort=-id").text
    address = re.search(r'hx-get="(/datasets/[^"]*/data/row\?[^"]*column=metadata)"', text)
    assert address is not None
    assert "long " * 20 not in text
    shown = owner.get(
        address[1].replace("&amp;", "&"), headers={"hx-request": "true", "sec-fetch-site": "same-origin"}
    ).text
    assert "long " * 59 in shown
    assert "<html" not in shown


def test_deleted_row_responds_404(owner: Browser, charges: Dataset) -> None:
    answer = owner.get(f"/datasets/{charges.id}/data/row?f=id~is~ch_none")
    assert answer.status == 404
    assert codes(answer) == ["row_not_found"]


def test_profile_counts_filtered_rows(owner: Browser, charges: Dataset) -> None:
    text = owner.get(f"/datasets/{charges.id}/data/profile?column=currency&f=amount~over~499").text
    assert re.search(r"<dt>Rows</dt><dd>500</dd>", text)
    assert re.search(r"<dt>Null</dt><dd>125 ", text)
    assert "f=currency~is~jpy" in text.replace("%7E", "~")


def test_selected_columns_are_stored(owner: Browser, charges: Dataset) -> None:
    path = f"/datasets/{charges.id}/data"
    before = owner.get(path).text
    assert 'title="Profile of amount"' not in before, "minor units are hidden by default"
    body = b"show=id&show=amount&query=sort%3Did"
    answer = owner.ask("POST", f"{path}/columns", headers={"sec-fetch-site": "same-origin"}, body=body)
    assert (answer.status, answer["location"]) == (303, f"{path}?sort=id")
    text = owner.get(path).text
    assert re.findall(r'title="Profile of (\w+)"', text) == ["id", "amount"]
    owner.post(f"{path}/columns", {"reset": "yes"})
    assert 'title="Profile of description"' in owner.get(path).text


@pytest.mark.parametrize("wrong", ["f=amount~is~abc", "sort=nothing", "f=nothing~is~1"])
def test_invalid_filter_or_order_is_reported(owner: Browser, charges: Dataset, wrong: str) -> None:
    answer = owner.get(f"/datasets/{charges.id}/data?{wrong}")
    assert answer.status == 422
    assert "abc" in answer.text or "nothing" in answer.text
    assert "Add filter" in answer.text


def test_empty_states_of_the_page(app: App, owner: Browser, charges: Dataset) -> None:
    assert "No matching rows" in owner.get(f"/datasets/{charges.id}/data?f=id~is~none").text
    new = dataset(app, "Newer")
    assert "No table yet" in owner.get(f"/datasets/{new.id}/data").text


def test_export_of_filtered_rows_and_of_all_rows(owner: Browser, charges: Dataset) -> None:
    answer = owner.get(f"/datasets/{charges.id}/data.csv?f=currency~is~eur&sort=-amount")
    assert answer["content-disposition"] == 'attachment; filename="charges.csv"'
    lines = answer.text.splitlines()
    assert lines[0].startswith('"id","created","amount"')
    assert len(lines) == 251
    assert lines[1].startswith('"ch_0000998"')
    rows = pq.read_table(io.BytesIO(owner.get(f"/datasets/{charges.id}/data.parquet").body))
    assert rows.num_rows == 1000
    assert rows.schema.names[:2] == ["id", "created"]


def test_aborted_export_releases_the_file(app: App, owner: Browser) -> None:
    made = dataset(app, "Many")
    fill(app, made, rows=60_000)
    pieces: list[str] = []

    def leave(piece: str) -> bool:
        pieces.append(piece)
        return len(pieces) > 2

    watching(owner, leave).get(f"/datasets/{made.id}/data.csv")
    assert sum(piece.count("\n") for piece in pieces) < 60_000
    # DuckDB rejects another configuration while the file is still open in this process.
    with duckdb.connect(str(Path(app.settings.home, "a.duckdb")), config={"threads": "1"}) as file:
        assert file.execute("SELECT count(*) FROM many").fetchone() == (60_000,)


@pytest.mark.parametrize("name", ["'; DROP TABLE charges; --", '"', "id~~~", "<script>"])
def test_hostile_parameters_are_harmless(owner: Browser, charges: Dataset, name: str) -> None:
    for place in ("f=" + quote(f"{name}~is~1"), "f=" + quote(f"id~is~{name}"), "sort=" + quote(name)):
        assert owner.get(f"/datasets/{charges.id}/data?{place}").status in (200, 422)
    assert "of 1,000 rows" in owner.get(f"/datasets/{charges.id}/data").text
