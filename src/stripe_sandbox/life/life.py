"""The schedule of simulated activity: N activities a day at random times, and their later consequences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from stripe_sandbox.company.calendar import DAY
from stripe_sandbox.company.history import KEPT_DAYS
from stripe_sandbox.life import renewals
from stripe_sandbox.life.dice import Dice
from stripe_sandbox.life.happenings import BEGINNINGS, HAPPENINGS, NAMES, Happening
from stripe_sandbox.life.scene import Scene
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

#: Attempts to find an activity that has a suitable object.
_TRIES = 6


class Life:
    """Off until `set` is called. The activity is determined by the seed, the settings and the times of the settings."""

    def __init__(self, store: Store) -> None:
        self.scene = Scene(store)
        self.per_day = 0.0
        self.kinds: Sequence[str] = NAMES
        self._chance = store.world.chance("life")
        self._begun: set[str] = set()
        self._happenings: list[Happening] = []
        self._weights: list[int] = []
        #: The number of activities so far, that number when `set` was last called, and the time of that call.
        self._count = self._counted = self._since = 0
        self._pruned = 0

    def set(self, per_day: float | None, kinds: Sequence[str] | None = None, *, now: int) -> None:
        """Sets the number of activities a day from now on, and their kinds; None or 0 turns activity off."""
        per_day, kinds = float(per_day or 0), NAMES if kinds is None else kinds
        if per_day < 0:
            raise ValueError("per_day must not be negative")
        if unknown := [name for name in kinds if name not in NAMES]:
            raise ValueError(f"unknown kind of activity: {', '.join(unknown)}; expected one of {', '.join(NAMES)}")
        self.per_day, self.kinds = per_day, [name for name in NAMES if name in kinds]
        self._happenings = [one for one in HAPPENINGS if one.kind in kinds]
        self._weights = list(accumulate(one.weight for one in self._happenings))
        self._since, self._counted = now, self._count
        if per_day and kinds:
            self._begin(now)

    def _begin(self, now: int) -> None:
        self.scene.at = now
        for kind in self.kinds:
            if kind not in self._begun:
                self._begun.add(kind)
                self.scene.dice = Dice(self._chance.of(-1 - NAMES.index(kind)))
                for begin in BEGINNINGS.get(kind, ()):
                    begin(self.scene)

    def play(self, until: int) -> None:
        """Performs everything that is due up to `until`, in order of time."""
        scene = self.scene
        while True:
            late, happening, consequence = scene.next_late(), self._next_happening(), scene.next_consequence()
            if consequence is not None:
                consequence = max(consequence, self._since) if self.per_day else None
            at = min((one for one in (late, happening, consequence) if one is not None), default=None)
            if at is None or at > until:
                break
            if at == late:
                scene.show_late()
                continue
            scene.at = scene.world.now = at
            if at == consequence:
                scene.let_follow()
            else:
                self._let_happen()
            self._prune(at)

    def _next_happening(self) -> int | None:
        if not self.per_day or not self._happenings:
            return None
        number = self._count - self._counted + self._chance.share(self._count)
        return self._since + 1 + int(number * DAY / self.per_day)

    def _let_happen(self) -> None:
        scene = self.scene
        scene.dice = dice = Dice(self._chance.of(self._count))
        self._count += 1
        if "subscription" in self.kinds and renewals.is_due(scene) and dice.chance(0.5) and renewals.period_ends(scene):
            return
        for _ in range(_TRIES):
            if self._happenings[bisect_right(self._weights, dice.below(self._weights[-1]))].does(scene):
                return

    def _prune(self, at: int) -> None:
        """Deletes events after Stripe's retention period."""
        if at - self._pruned > DAY:
            self._pruned = at
            self.scene.store.overlays["event"].forget(at - KEPT_DAYS * DAY)

    def report(self) -> Json:
        """The settings, the number of events by type, and the number of changes without an event by object."""
        return {
            "per_day": self.per_day or None,
            "kinds": list(self.kinds),
            "changes": dict(sorted(self.scene.event_counts.items())),
            "silent": dict(sorted(self.scene.silent.items())),
        }
