"""The web page: from an API key to a trusted table without a command line."""
