"""Datasets: operations, input, status, columns and forecasts."""
