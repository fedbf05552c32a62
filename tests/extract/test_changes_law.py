"""After any changes, even during reading, incremental runs leave the same table as a full refresh."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.errors import RunError
from counterfoil.extract.changes import Changes, read_changes
from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.clocks import MARGIN_SECONDS
from counterfoil.runs.plans.change_plan import OVERLAP_SECONDS
from counterfoil.values import StripeObject, Window

from .scripted import Scripted, list_response


@dataclass
class Model:
    """A Stripe with one list: its clock moves, its objects change, and events report the changes, some with a delay."""

    kind: str
    now: int = 1_000_000
    objects: dict[str, StripeObject] = field(default_factory=dict)
    #: Each event with the time from which it is listed.
    events: list[tuple[int, StripeObject]] = field(default_factory=list)
    #: Changes while the list is read, each with the number of requests before it.
    in_between: list[tuple[int, tuple[Any, ...]]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def change(self, what: str, which: int, seconds: int, delay: int) -> None:
        """Changes one object, `seconds` later; its event is listed after `delay` seconds."""
        self.now += seconds
        ids = sorted(self.objects)
        if what == "create" or not ids:
            id_ = f"{self.kind}_{next(self.numbers):04}"
            one = {"object": self.kind, "id": id_, "created": self.now, "version": 0, "status": "active"}
            self.objects[id_] = one
            self._add_event("created", self.objects[id_], delay)
            return
        id_ = ids[which % len(ids)]
        one = self.objects[id_]
        if what == "update":
            self.objects[id_] = {**one, "version": one["version"] + 1}
            self._add_event("updated", self.objects[id_], delay)
        elif self.kind == "customer":
            self._add_event("deleted", self.objects.pop(id_), delay)
        else:  # a subscription is canceled
            self.objects[id_] = {**one, "status": "canceled"}
            self._add_event("deleted", self.objects[id_], delay)

    def _add_event(self, what: str, one: StripeObject, delay: int) -> None:
        event = {"id": f"evt_{next(self.numbers)}", "created": self.now, "type": f"{KINDS_OF[self.kind]}.{what}"}
        # An old version of the object, which the reader must not use as the object.
        self.events.append((self.now + delay, {**event, "data": {"object": {**one, "version": -1}}}))

    def listed(self, narrowed: bool) -> dict[str, StripeObject]:
        return {id_: one for id_, one in self.objects.items() if not narrowed or one["status"] != "canceled"}

    def respond(self, path: str, params: dict[str, Any], narrowed: bool) -> dict[str, Any]:
        while self.in_between and self.in_between[0][0] <= 0:
            self.change(*self.in_between.pop(0)[1])
        self.in_between = [(after - 1, change) for after, change in self.in_between]
        if path == "/v1/events":
            found = [event for seen, event in self.events if seen <= self.now and event["type"] in params["types"]]
            return _page(found, params)
        if not path.endswith(("customers", "subscriptions")):
            id_ = path.rsplit("/", 1)[-1]
            if id_ not in self.objects:
                raise RunError("No such object", status=404, code="resource_missing", param="id")
            return self.objects[id_]
        return _page(list(self.listed(narrowed).values()), params)


KINDS_OF = {"customer": "customer", "subscription": "customer.subscription"}


def _page(objects: list[StripeObject], params: dict[str, Any]) -> dict[str, Any]:
    since, until = params.get("created[gte]", 0), params.get("created[lt]", 2**40)
    within = sorted(
        (one for one in objects if since <= one["created"] < until),
        key=lambda one: (one["created"], one["id"]),
        reverse=True,
    )
    if (cursor := params.get("starting_after")) is not None:
        at = next((n for n, one in enumerate(within) if one["id"] == cursor), None)
        if at is None:
            raise RunError("No such cursor", status=404, code="resource_missing", param="starting_after")
        within = within[at + 1 :]
    return list_response(within[: params["limit"]], has_more=len(within) > params["limit"])


@dataclass
class Table:
    """The table after each run: all rows of a run or none."""

    model: Model
    report: str
    narrowed: bool
    rows: dict[str, StripeObject] = field(default_factory=dict)
    as_of: int | None = None

    def run(self, crash_after: int | None = None) -> None:
        model, report = self.model, report_of(self.report)
        as_of = model.now - MARGIN_SECONDS
        if self.as_of is None:
            self.rows, self.as_of = dict(model.listed(self.narrowed)), as_of
            return
        rows = dict(self.rows)
        changes = Changes(
            since=self.as_of - OVERLAP_SECONDS,
            histogram=CreatedHistogram.of(sorted(one["created"] for one in self.rows.values())),
            whole_requests=1_000,
            narrowed=self.narrowed,
        )
        stripe = Scripted(lambda path, params: model.respond(path, params, self.narrowed))

        async def read() -> bool:
            pages = read_changes(stripe.client, report, changes, Window(), notices=Warnings(), params={})
            seen = 0
            async with aclosing(pages):
                async for page in pages:
                    if crash_after is not None and seen >= crash_after:
                        return False
                    seen += 1
                    for one in page.objects:
                        if one.get("deleted"):
                            rows.pop(one["id"], None)
                        else:
                            rows[one["id"]] = one
            return True

        if asyncio.run(read()):
            self.rows, self.as_of = rows, as_of


changes = st.tuples(
    st.sampled_from(["create", "update", "update", "delete"]),
    st.integers(0, 400),
    st.sampled_from([0, 0, 1, 30, 400]),
    st.sampled_from([0, 0, 0, 120, 300]),
)
steps = st.one_of(
    st.tuples(st.just("change"), st.lists(changes, max_size=6)),
    st.tuples(st.just("pass"), st.sampled_from([1, 90, 90, 600, 90_000])),
    st.tuples(st.just("run"), st.lists(st.tuples(st.integers(0, 3), changes), max_size=4)),
    st.tuples(st.just("crash"), st.integers(0, 3)),
)


@given(
    report=st.sampled_from(["customers", "subscriptions"]),
    narrowed=st.booleans(),
    initial=st.sampled_from([0, 3, 230]),
    plan=st.lists(steps, max_size=12),
)
@settings(max_examples=50, deadline=None)
def test_incremental_runs_equal_a_full_refresh_after_any_changes_and_crashes(
    report: str, narrowed: bool, initial: int, plan: list[tuple[str, Any]]
) -> None:
    narrowed = narrowed and report == "subscriptions"
    model = Model(report.removesuffix("s"))
    for n in range(initial):
        model.change("create", 0, n % 3, 0)
    table = Table(model, report, narrowed)
    table.run()
    for what, how in plan:
        if what == "change":
            for change in how:
                model.change(*change)
        elif what == "pass":
            model.now += how
        elif what == "run":
            model.in_between = list(how)
            table.run()
            model.in_between = []
        else:
            table.run(crash_after=how)
    model.now += OVERLAP_SECONDS  # so that the last events are listed
    table.run()
    assert table.rows == model.listed(narrowed)
