from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_sandbox import Sandbox, serve
from stripe_sandbox.clock import FIXED_NOW, Clock
from stripe_sandbox.company.world import World
from stripe_sandbox.ids import Ids
from stripe_sandbox.objects.charges import charge
from stripe_sandbox.wire.parameters import parsed, range_of
from tests.sandbox.conftest import Client


def test_seed_determines_the_company() -> None:
    one, same, other = World(7, 0.1, FIXED_NOW), World(7, 0.1, FIXED_NOW), World(8, 0.1, FIXED_NOW)
    assert [charge(one, n) for n in range(50)] == [charge(same, n) for n in range(50)]
    assert charge(one, 3) != charge(other, 3)


def test_scale_multiplies_the_company() -> None:
    small, large = World(1, 1, FIXED_NOW), World(1, 4, FIXED_NOW)
    for table in ("charges", "customers", "subscriptions", "transfers"):
        ratio = len(getattr(large, table).created) / len(getattr(small, table).created)
        assert 3.9 < ratio < 4.1, table


@given(st.integers(0, 30 * 62**5), st.integers(0, 30 * 62**5))
def test_ids_round_trip_to_their_index_and_sort_by_it(one: int, two: int) -> None:
    ids = Ids("ch_3", 1)
    assert ids.index(ids.of(one)) == one
    assert (ids.of(one) < ids.of(two)) == (one < two)


@given(st.text(max_size=30))
def test_other_texts_are_not_ids(text: str) -> None:
    assert Ids("ch_3", 1).index("ch_3" + text) is None


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), st.integers(-5, 5)), st.integers(-6, 6))
def test_range_combines_all_bounds(bounds: dict[str, int], at: int) -> None:
    tests = {"gt": at.__gt__, "gte": at.__ge__, "lt": at.__lt__, "lte": at.__le__}
    wanted = all(tests[name](bound) for name, bound in bounds.items())
    assert (at in range_of({name: str(bound) for name, bound in bounds.items()}, "created")) is wanted


def test_parameters_in_brackets_are_parsed() -> None:
    text = "limit=3&created[gte]=5&expand[]=a&expand[]=b&types[0]=x&recurring[interval]=month&a%5Bb%5D=1"
    assert parsed(text) == {
        "limit": "3",
        "created": {"gte": "5"},
        "expand": ["a", "b"],
        "types": ["x"],
        "recurring": {"interval": "month"},
        "a": {"b": "1"},
    }


def test_live_clock_follows_real_time() -> None:
    clock = Clock(live=True)
    assert abs(clock.now() - time.time()) < 2
    assert clock.advance(1000) >= clock.start + 1000


def test_history_of_a_live_company_ends_now() -> None:
    with Sandbox(scale=0.1, live=True) as sandbox:
        newest = Client(sandbox).get("/v1/charges", {"limit": 1})["data"][0]["created"]
        assert time.time() - 3 * 86400 < newest <= time.time()


def test_serve_reports_its_url_and_stops_on_interrupt() -> None:
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(scale=0.1, port=0, ready=ready)
    assert urls[0].startswith("http://127.0.0.1:")


def test_port_in_use_is_an_error() -> None:
    with Sandbox(scale=0.1) as sandbox, pytest.raises(OSError, match="address"), Sandbox(scale=0.1, port=sandbox.port):
        pass
