"""DuckDB as a scratch engine: what every destination may use to sort, merge and query Parquet files."""
