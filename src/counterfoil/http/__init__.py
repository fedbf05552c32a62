"""Requests over HTTP from synchronous code: one event loop, timeouts, proxies, certificates, limits of size."""
