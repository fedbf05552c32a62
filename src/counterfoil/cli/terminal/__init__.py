"""The command's process and its terminal: signals, streams, prompts, exit."""
