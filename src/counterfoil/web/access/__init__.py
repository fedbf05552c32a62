"""Access control: host names, login, sessions, and the guard in front of every route."""
