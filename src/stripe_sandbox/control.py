"""The `/_sandbox/` endpoints, with which tests and demonstrations control the sandbox. See docs/sandbox.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from stripe_sandbox import truth
from stripe_sandbox.changes import Changes
from stripe_sandbox.kinds import BY_NAME, BY_PATH, KINDS
from stripe_sandbox.objects.json import Json
from stripe_sandbox.wire.faults import Fault
from stripe_sandbox.wire.keys import Access
from stripe_sandbox.wire.parameters import parsed
from stripe_sandbox.wire.recipients import MODES

if TYPE_CHECKING:
    from stripe_sandbox.server import Server


class Rules:
    """Changes made while a client reads a list: after its K-th page."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self._waiting: list[Json] = []

    def add(self, path: str, after_pages: int, actions: list[Json]) -> None:
        if path not in BY_PATH:
            raise ValueError(f"unknown list path: {path!r}")
        self._waiting.append({"path": path, "pages": after_pages, "do": actions})

    def clear(self) -> None:
        self._waiting.clear()

    def page_answered(self, path: str, page: Json) -> None:
        for rule in list(self._waiting):
            if rule["path"] != path or not (page["data"] or _names_no_row(rule)):
                continue
            rule["pages"] -= 1
            if rule["pages"] <= 0:
                self._waiting.remove(rule)
                for action in rule["do"]:
                    self.apply(action, page)

    def apply(self, action: Json, page: Json | None = None) -> Json:
        """Creates, updates or deletes an object; the ids `"last"` and `"first"` are those objects of the page."""
        kind, what = action["kind"], action.get("action", "create")
        id_ = action.get("id")
        if page is not None and id_ in ("last", "first"):
            id_ = page["data"][-1 if id_ == "last" else 0]["id"]
        if kind not in BY_NAME:
            raise ValueError(f"unknown kind: {kind!r}; expected one of {', '.join(BY_NAME)}")
        if what == "create":
            return self.changes.create(kind, action.get("fields", {}), action.get("created"))
        if what == "update":
            return self.changes.update(kind, str(id_), action.get("fields", {}), action.get("event"))
        if what == "delete":
            self.changes.delete(kind, str(id_))
            return {"id": id_, "object": kind, "deleted": True}
        raise ValueError(f"unknown action: {what!r}; expected create, update or delete")


def _names_no_row(rule: Json) -> bool:
    return all(action.get("id") not in ("last", "first") for action in rule["do"])


class Control:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._posts: Mapping[str, Callable[[Json], Json]] = {
            "advance": self._advance,
            "answers": self._answers,
            "faults": self._faults,
            "keys": self._keys,
            "latency": self._latency,
            "life": self._life,
            "limits": self._limits,
            "objects": self._objects,
            "recipients": self._recipients,
            "release": self._release,
            "reset": self._reset,
            "rules": self._rules,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
        """(status, JSON). An invalid request gets status 400 and the reason."""
        name, _, rest = path.removeprefix("/_sandbox/").partition("/")
        try:
            if method == "POST" and name in self._posts and not rest:
                return 200, self._posts[name](orjson.loads(body) if body else {})
            if method == "GET" and name == "truth" and rest:
                return 200, self._truth(rest)
            if method == "GET" and name == "life" and not rest:
                return 200, self._server.life.report()
            if method == "GET" and name == "requests":
                return 200, self._requests(parsed(query))
            if method == "GET" and name == "state":
                return 200, self._state()
        except (KeyError, TypeError, ValueError, LookupError) as error:
            return 400, {"error": f"{type(error).__name__}: {error}"}
        return 404, {"error": f"unknown endpoint: {method} {path}"}

    def _advance(self, given: Json) -> Json:
        now = self._server.clock.advance(int(given["seconds"]))
        self._server.catch_up()
        return {"now": now}

    def _answers(self, given: Json) -> Json:
        status = int(given["missing_cursor"])
        if status not in (400, 404):
            raise ValueError("missing_cursor must be 400 or 404")
        self._server.api.lister.missing_status = status
        return given

    def _keys(self, given: Json) -> Json:
        permissions = given.get("permissions")
        refused = given.get("code", "") if given.get("refused") else None
        held = None if permissions is None else frozenset(permissions)
        self._server.api.keys.set(str(given["key"]), Access(held, refused))
        return {"set": True}

    def _limits(self, given: Json) -> Json:
        self._server.limits.set(**given)
        return given

    def _latency(self, given: Json) -> Json:
        seconds = float(given["ms"]) / 1000
        if "path" in given:
            self._server.path_latency[given["path"]] = seconds
        else:
            self._server.latency_seconds = seconds
            self._server.path_latency.clear()
        return given

    def _life(self, given: Json) -> Json:
        life = self._server.life
        life.set(given["per_day"], given.get("kinds"), now=self._server.clock.now())
        return life.report()

    def _faults(self, given: Json) -> Json:
        faults = self._server.faults
        if "rate" in given:
            faults.set(float(given["rate"]), given.get("kinds"))
        elif "fault" in given:
            faults.planned.append(Fault(**given))
        elif given.get("clear"):
            faults.clear()
        else:
            raise ValueError("one of rate, fault or clear is required")
        return {"planned": len(faults.planned), "rate": faults.rate}

    def _release(self, _: Json) -> Json:
        self._server.faults.release()
        return {"released": True}

    def _recipients(self, given: Json) -> Json:
        if given["mode"] not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        self._server.api.recipients_mode = given["mode"]
        return given

    def _objects(self, given: Json) -> Json:
        return self._server.rules.apply(given)

    def _rules(self, given: Json) -> Json:
        if given.get("clear"):
            self._server.rules.clear()
        else:
            self._server.rules.add(given["path"], int(given["after_pages"]), given["do"])
        return {"set": True}

    def _reset(self, _: Json) -> Json:
        """Resets all controls, but neither the clock nor the objects."""
        server = self._server
        server.faults.clear()
        server.rules.clear()
        server.api.keys.clear()
        server.limits.set(rps=None, endpoint_rps=None, concurrency=None, endpoint_concurrency=None)
        server.life.set(None, now=server.clock.now())
        server.latency_seconds = 0
        server.path_latency.clear()
        server.api.recipients_mode = "404"
        server.api.lister.missing_status = 400
        server.requests.reset()
        return {"reset": True}

    def _requests(self, given: Mapping[str, Any]) -> Json:
        report = self._server.requests.report(int(given.get("last", 100)))
        if given.get("reset") in ("true", "1"):
            self._server.requests.reset()
        return report

    def _state(self) -> Json:
        server = self._server
        counts = {kind.name: len(kind.created(server.world)) for kind in KINDS}
        return {
            "now": server.clock.now(),
            "account": server.api.account_id,
            "seed": server.world.seed,
            "generated": counts,
            "controls": sorted(self._posts),
        }

    def _truth(self, report: str) -> Json:
        store = self._server.store
        if report == "account":
            return {"id": self._server.api.account_id, "name": "Paper & Ink"}
        if report == "balance":
            return truth.balance(store)
        if report == "revenue":
            return truth.revenue(store)
        if report == "discounts":
            return {"ids": truth.discounts(store)}
        if report == "upcoming_invoices":
            return truth.upcoming_invoices(store)
        if report == "all_subscriptions":
            return {"ids": truth.ids(store, BY_PATH["/v1/subscriptions"], canceled_too=True)}
        kind = BY_PATH.get(f"/v1/{report}")
        if kind is None:
            raise LookupError(f"unknown report: {report!r}")
        return {"ids": truth.ids(store, kind)}
