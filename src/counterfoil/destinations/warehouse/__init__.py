"""Warehouses that dlt loads."""
