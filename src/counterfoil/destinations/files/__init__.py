"""What destinations of files share: columns of Parquet files, folders of tables and their records."""
