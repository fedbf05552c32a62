"""Operators of Airflow 3: one runs a saved dataset of a served Counterfoil, `pull_operator` pulls in the worker."""

from counterfoil.integrations.airflow.run_operator import CounterfoilRunOperator, RunEnded

__all__ = ["CounterfoilRunOperator", "RunEnded"]
