"""Requests of Airflow's operators to the API of `counterfoil serve`, by the HTTP client that Airflow brings."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import Connection

TIMEOUT_SECONDS = 60
#: Statuses of answers that may be another one later: throttled, broken for the moment, a proxy without the service.
_PASSING = frozenset({429, 500, 502, 503, 504})
_NOT_OVER = "status=queued&status=running&status=waiting"


class RunContinues(AirflowException):
    """The dataset has a run that is not over."""


def ask(connection: Connection, method: str, path: str) -> Any:
    """The JSON of an answer. AirflowException for what may pass by itself; AirflowFailException for a refusal."""
    headers = {"Authorization": f"Bearer {connection.password or ''}"}
    try:
        answer = httpx.request(method, f"{_address(connection)}/api/v1{path}", headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.TransportError as error:
        raise AirflowException(f"Counterfoil at {_address(connection)} does not answer: {error}") from error
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    told = " ".join(problem.get(name) or "" for name in ("detail", "hint")).strip() or answer.reason_phrase
    message = f"Counterfoil answers {answer.status_code} to {method} {path}: {told}"
    if problem.get("code") == "run_error" and path.endswith("/runs"):
        raise RunContinues(message)
    raise AirflowException(message) if answer.status_code in _PASSING else AirflowFailException(message)


def begin_or_join(connection: Connection, dataset: str) -> str:
    """The id of a run of the dataset that is not over: a new one, or the one that goes on."""
    place = quote(dataset, safe="")
    try:
        begun: str = ask(connection, "POST", f"/datasets/{place}/runs")["id"]
    except RunContinues:
        found = ask(connection, "GET", f"/runs?dataset={place}&limit=1&{_NOT_OVER}")["items"]
        if not found:
            raise  # it ended in this moment: the next try begins one
        begun = found[0]["id"]
    return begun


def is_over(connection: Connection, run: str) -> bool:
    """Whether the run has ended. A service that does not answer is asked again: runs outlive its restarts."""
    try:
        return ask(connection, "GET", f"/runs/{run}")["finished_at"] is not None
    except AirflowFailException:
        raise
    except AirflowException:
        return False


def _address(connection: Connection) -> str:
    host = (connection.host or "").rstrip("/")
    if not host:
        raise AirflowFailException(f"The connection {connection.conn_id} has no host: give that of counterfoil serve.")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{address}:{connection.port}" if connection.port else address
