"""An operator of Airflow 3 that pulls a report in the worker itself, where Counterfoil is installed beside Airflow."""

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
    """Pulls a report into a table, as `Connection.pull` does; the result tells rows, columns, requests and warnings.

    The key is the password of the connection `stripe_conn_id`, of type generic; a simulated Stripe is its host.
    Airflow retries what may pass by itself, and fails at once for the rest.
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
        """`pull` are further words of `Connection.pull`."""
        super().__init__(**of_task)
        self.report, self.to, self.table, self.since, self.until = report, to, table, since, until
        self.stripe_conn_id, self.account, self.pull = stripe_conn_id, account, pull or {}

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow gives it
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
            raise kind(f"{error} {error.hint or ''}".strip()) from error
        for warning in pulled.warnings:
            self.log.warning(warning)
        return {**pulled.as_dict(), "warnings": list(pulled.warnings)}
