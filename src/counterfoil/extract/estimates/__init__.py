"""How many rows a list has, and where they are in time, from a few of its pages."""
