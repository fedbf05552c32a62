"""Parquet files in an object store, with manifests."""
