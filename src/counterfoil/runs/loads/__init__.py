"""From the parts of a run to the tables of its dataset."""
