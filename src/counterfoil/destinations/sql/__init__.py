"""DuckDB as a scratch engine: helpers of all destinations to sort, merge and query Parquet files."""
