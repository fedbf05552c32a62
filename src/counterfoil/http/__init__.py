"""HTTP requests from synchronous code: one event loop, timeouts, proxies, certificates and size limits."""
