"""Who may use the page: hosts, login, sessions, and the guard before every route."""
