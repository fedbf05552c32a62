"""Plans: the rows that a run reads and loads, fixed before it begins."""
