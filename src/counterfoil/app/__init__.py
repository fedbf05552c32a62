"""The calls that the command line, the page and other programs make."""
