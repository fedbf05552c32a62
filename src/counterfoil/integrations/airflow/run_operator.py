"""An operator for Airflow 3 that runs a dataset of `counterfoil serve` and waits for the run.

It needs only packages that Airflow includes, so Counterfoil's dependencies cannot conflict with Airflow's. The token is
the password of an Airflow connection, and never part of an argument, a trigger or a result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from counterfoil.integrations import engine, is_transient

with engine("airflow", extra="airflow"):
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, conf
    from airflow.sdk import BaseHook, BaseOperator
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    from counterfoil.integrations.airflow.api import ask, begin_or_join, is_over

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["CounterfoilRunOperator", "RunEnded"]


class CounterfoilRunOperator(BaseOperator):
    """Runs a dataset, by name or id, or waits for its active run. The task succeeds if the run succeeds.

    The connection `conn_id` (of type HTTP) contains the address of `counterfoil serve` as its host, or as host, port
    and schema, and a token as its password. The result is the run, in the form of `GET /api/v1/runs/{run}`. Airflow
    retries transient errors; other errors fail the task at once.
    """

    template_fields: Sequence[str] = ("dataset",)

    def __init__(
        self,
        *,
        dataset: str,
        conn_id: str = "counterfoil_default",
        poll_seconds: float = 15,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **of_task: Any,
    ) -> None:
        super().__init__(**of_task)
        self.dataset, self.conn_id = dataset, conn_id
        self.poll_seconds, self.deferrable = poll_seconds, deferrable
        self._run: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        connection = BaseHook.get_connection(self.conn_id)
        self._run = begin_or_join(connection, self.dataset)
        self.log.info("Run %s of the dataset %s", self._run, self.dataset)
        if self.deferrable:
            self.defer(trigger=RunEnded(self.conn_id, self._run, self.poll_seconds), method_name="ended")
        while not is_over(connection, self._run):
            time.sleep(self.poll_seconds)
        return self.ended(context, {"run": self._run})

    def ended(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - passed by Airflow
        """Returns the finished run; raises if it did not succeed."""
        run: dict[str, Any] = ask(BaseHook.get_connection(self.conn_id), "GET", f"/runs/{event['run']}")
        for warning in run["warnings"]:
            self.log.warning(warning)
        if run["status"] != "succeeded":
            error = run["error"] or {}
            texts = [error.get("message") or run["reason"], error.get("hint")]
            details = ". ".join(str(text).rstrip(".") for text in texts if text)
            kind = AirflowException if is_transient(error.get("kind")) else AirflowFailException
            raise kind(f"the run {run['id']} of the dataset {self.dataset} is {run['status']}: {details}".strip())
        return run

    def on_kill(self) -> None:
        if self._run is not None:
            ask(BaseHook.get_connection(self.conn_id), "POST", f"/runs/{self._run}/cancel")


class RunEnded(BaseTrigger):
    """Fires when the run has ended, successfully or not. Its serialized fields contain no secrets."""

    def __init__(self, conn_id: str, run: str, poll_seconds: float) -> None:
        super().__init__()
        self.conn_id, self.run_id, self.poll_seconds = conn_id, run, poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        fields = {"conn_id": self.conn_id, "run": self.run_id, "poll_seconds": self.poll_seconds}
        return f"counterfoil.integrations.airflow.{type(self).__name__}", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        connection = await BaseHook.aget_connection(self.conn_id)
        while not await asyncio.to_thread(is_over, connection, self.run_id):  # noqa: ASYNC110 - polls a remote service
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({"run": self.run_id})
