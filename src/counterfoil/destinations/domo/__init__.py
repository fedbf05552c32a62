"""DataSets in Domo."""
