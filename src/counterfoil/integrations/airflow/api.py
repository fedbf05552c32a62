"""Requests of the Airflow operators to the API of `counterfoil serve`, with the HTTP client that Airflow includes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import Connection

TIMEOUT_SECONDS = 60
#: Statuses of transient errors: rate limits, server errors, and proxies that cannot reach the service.
_PASSING = frozenset({429, 500, 502, 503, 504})
_NOT_OVER = "status=queued&status=running&status=waiting"


class RunContinues(AirflowException):
    """The dataset has an active run."""


def ask(connection: Connection, method: str, path: str) -> Any:
    """The JSON of a response. AirflowException for transient errors; AirflowFailException for all others."""
    headers = {"Authorization": f"Bearer {connection.password or ''}"}
    try:
        answer = httpx.request(method, f"{_address(connection)}/api/v1{path}", headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.TransportError as error:
        raise AirflowException(f"no response from Counterfoil at {_address(connection)}: {error}") from error
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    texts = [problem.get(name) for name in ("detail", "hint")]
    details = ". ".join(text.rstrip(".") for text in texts if text) or answer.reason_phrase
    message = f"Counterfoil answered {answer.status_code} to {method} {path}: {details}"
    if problem.get("code") == "run_error" and path.endswith("/runs"):
        raise RunContinues(message)
    raise AirflowException(message) if answer.status_code in _PASSING else AirflowFailException(message)


def begin_or_join(connection: Connection, dataset: str) -> str:
    """The id of an active run of the dataset: a new run, or one that is already active."""
    place = quote(dataset, safe="")
    try:
        begun: str = ask(connection, "POST", f"/datasets/{place}/runs")["id"]
    except RunContinues:
        found = ask(connection, "GET", f"/runs?dataset={place}&limit=1&{_NOT_OVER}")["items"]
        if not found:
            raise  # the run has just ended: the next try starts a new one
        begun = found[0]["id"]
    return begun


def is_over(connection: Connection, run: str) -> bool:
    """Whether the run has ended. False if the service does not respond, because runs survive its restarts."""
    try:
        return ask(connection, "GET", f"/runs/{run}")["finished_at"] is not None
    except AirflowFailException:
        raise
    except AirflowException:
        return False


def _address(connection: Connection) -> str:
    host = (connection.host or "").rstrip("/")
    if not host:
        raise AirflowFailException(f"the connection {connection.conn_id} has no host; use that of counterfoil serve")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{address}:{connection.port}" if connection.port else address
