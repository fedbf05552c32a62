"""Rows as files: CSV, Excel, Parquet and JSON lines."""
