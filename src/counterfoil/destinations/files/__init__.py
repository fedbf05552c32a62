"""Shared code of file destinations: columns of Parquet files, folders of tables and their records."""
