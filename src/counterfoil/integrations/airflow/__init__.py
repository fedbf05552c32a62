"""Operators for Airflow 3: `run_operator` runs a dataset of `counterfoil serve`, `pull_operator` pulls locally."""

from counterfoil.integrations.airflow.run_operator import CounterfoilRunOperator, RunEnded

__all__ = ["CounterfoilRunOperator", "RunEnded"]
