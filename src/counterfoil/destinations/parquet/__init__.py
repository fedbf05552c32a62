"""Parquet files in a folder for each table."""
