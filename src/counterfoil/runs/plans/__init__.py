"""What a run reads and loads, fixed before it begins."""
