"""However objects change, also while they are read, a table that takes changes in ends as reading everything would."""

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

from .scripted import Scripted, listed


@dataclass
class Model:
    """A Stripe of one list: its clock moves, its objects change, and events tell of that, some of them late."""

    kind: str
    now: int = 1_000_000
    objects: dict[str, StripeObject] = field(default_factory=dict)
    #: When each can be seen, and the event.
    events: list[tuple[int, StripeObject]] = field(default_factory=list)
    #: What happens while the list is read: after so many requests more.
    meanwhile: list[tuple[int, tuple[Any, ...]]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def happen(self, what: str, which: int, seconds: int, late: int) -> None:
        """One change of an object, `seconds` later."""
        self.now += seconds
        there = sorted(self.objects)
        if what == "create" or not there:
            id_ = f"{self.kind}_{next(self.numbers):04}"
            one = {"object": self.kind, "id": id_, "created": self.now, "version": 0, "status": "active"}
            self.objects[id_] = one
            self._tell("created", self.objects[id_], late)
            return
        id_ = there[which % len(there)]
        one = self.objects[id_]
        if what == "update":
            self.objects[id_] = {**one, "version": one["version"] + 1}
            self._tell("updated", self.objects[id_], late)
        elif self.kind == "customer":
            self._tell("deleted", self.objects.pop(id_), late)
        else:  # a subscription is canceled
            self.objects[id_] = {**one, "status": "canceled"}
            self._tell("deleted", self.objects[id_], late)

    def _tell(self, what: str, one: StripeObject, late: int) -> None:
        event = {"id": f"evt_{next(self.numbers)}", "created": self.now, "type": f"{KINDS_OF[self.kind]}.{what}"}
        # Rendered as of then, and with nothing that the reader may take for the object.
        self.events.append((self.now + late, {**event, "data": {"object": {**one, "version": -1}}}))

    def listed(self, narrowed: bool) -> dict[str, StripeObject]:
        return {id_: one for id_, one in self.objects.items() if not narrowed or one["status"] != "canceled"}

    def respond(self, path: str, params: dict[str, Any], narrowed: bool) -> dict[str, Any]:
        while self.meanwhile and self.meanwhile[0][0] <= 0:
            self.happen(*self.meanwhile.pop(0)[1])
        self.meanwhile = [(after - 1, happening) for after, happening in self.meanwhile]
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
    return listed(within[: params["limit"]], has_more=len(within) > params["limit"])


@dataclass
class Table:
    """What runs make of what they read: all of a run or nothing."""

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
        made = dict(self.rows)
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
                            made.pop(one["id"], None)
                        else:
                            made[one["id"]] = one
            return True

        if asyncio.run(read()):
            self.rows, self.as_of = made, as_of


happenings = st.tuples(
    st.sampled_from(["create", "update", "update", "delete"]),
    st.integers(0, 400),
    st.sampled_from([0, 0, 1, 30, 400]),
    st.sampled_from([0, 0, 0, 120, 300]),
)
steps = st.one_of(
    st.tuples(st.just("happen"), st.lists(happenings, max_size=6)),
    st.tuples(st.just("pass"), st.sampled_from([1, 90, 90, 600, 90_000])),
    st.tuples(st.just("run"), st.lists(st.tuples(st.integers(0, 3), happenings), max_size=4)),
    st.tuples(st.just("crash"), st.integers(0, 3)),
)


@given(
    report=st.sampled_from(["customers", "subscriptions"]),
    narrowed=st.booleans(),
    crowd=st.sampled_from([0, 3, 230]),
    plan=st.lists(steps, max_size=12),
)
@settings(max_examples=50, deadline=None)
def test_any_order_of_changes_runs_and_crashes_ends_in_what_reading_everything_gives(
    report: str, narrowed: bool, crowd: int, plan: list[tuple[str, Any]]
) -> None:
    narrowed = narrowed and report == "subscriptions"
    model = Model(report.removesuffix("s"))
    for n in range(crowd):
        model.happen("create", 0, n % 3, 0)
    table = Table(model, report, narrowed)
    table.run()
    for what, how in plan:
        if what == "happen":
            for happening in how:
                model.happen(*happening)
        elif what == "pass":
            model.now += how
        elif what == "run":
            model.meanwhile = list(how)
            table.run()
            model.meanwhile = []
        else:
            table.run(crash_after=how)
    model.now += OVERLAP_SECONDS  # the last events can be seen
    table.run()
    assert table.rows == model.listed(narrowed)
