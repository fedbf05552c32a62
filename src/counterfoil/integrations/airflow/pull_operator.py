"""An operator for Airflow 3 that pulls a report in the worker, which needs Counterfoil installed next to Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import counterfoil
from counterfoil.integrations import engine

with engine("airflow", extra="airflow"):
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
    from airflow.sdk import BaseHook, BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["CounterfoilPullOperator"]


class CounterfoilPullOperator(BaseOperator):
    """Pulls a report into a table, like `Connection.pull`. The result contains rows, columns, requests and warnings.

    The key is the password of the connection `stripe_conn_id`, of type generic. Its host, if set, replaces the address
    of the Stripe API, for example with a sandbox. Airflow retries transient errors; other errors fail the task at once.
    """

    template_fields: Sequence[str] = ("report", "to", "table", "since", "until")

    def __init__(
        self,
        *,
        report: str,
        to: str,
        stripe_conn_id: str = "stripe_default",
        table: str | None = None,
        since: str | None = None,
        until: str | None = None,
        account: str | None = None,
        pull: dict[str, Any] | None = None,
        **of_task: Any,
    ) -> None:
        """`pull` contains additional arguments of `Connection.pull`."""
        super().__init__(**of_task)
        self.report, self.to, self.table, self.since, self.until = report, to, table, since, until
        self.stripe_conn_id, self.account, self.pull = stripe_conn_id, account, pull or {}

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - passed by Airflow
        connection = BaseHook.get_connection(self.stripe_conn_id)
        try:
            with counterfoil.connect(
                connection.password or "", api_base=connection.host or None, stripe_account=self.account
            ) as stripe:
                pulled = stripe.pull(
                    self.report, to=self.to, table=self.table, since=self.since, until=self.until, **self.pull
                )
        except counterfoil.CounterfoilError as error:
            kind = AirflowException if isinstance(error, counterfoil.TransientError) else AirflowFailException
            raise kind(f"{error}. {error.hint or ''}".strip()) from error
        for warning in pulled.warnings:
            self.log.warning(warning)
        return {**pulled.as_dict(), "warnings": list(pulled.warnings)}
