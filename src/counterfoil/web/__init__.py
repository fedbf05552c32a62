"""The web interface: create and run datasets without the command line."""
