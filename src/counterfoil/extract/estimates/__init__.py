"""Estimates the number of rows of a list, and their distribution over time, from a few of its pages."""
