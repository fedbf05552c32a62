"""Export of rows to CSV, Excel, Parquet and JSON Lines."""
