"""Loads the parts of a run into the tables of its dataset."""
