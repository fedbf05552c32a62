"""Saved datasets: calls, input, status, columns and forecasts."""
