"""The API below `/api/v1`: all functions of the page for other programs, with a token and JSON."""
