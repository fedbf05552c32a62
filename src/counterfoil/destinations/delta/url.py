"""Parses the URL of a Delta destination in a bucket."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from counterfoil.errors import SettingsError

_EXAMPLE = "Use a URL such as delta+s3://bucket/prefix?endpoint=https://minio.example.com"
_SECRETS = "Set credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in the URL."


def bucket_of(rest: str) -> tuple[str, dict[str, str]]:
    """`//bucket/prefix`, and the options of its object store. Neither may contain a secret."""
    place, _, query = rest.partition("?")
    parts = urlsplit(place)
    if "@" in parts.netloc:
        raise SettingsError("the bucket URL contains a user or a password", hint=_SECRETS)
    if not parts.netloc or ":" in parts.netloc or "#" in place or "\0" in place:
        raise SettingsError("a delta+s3 URL needs two slashes, a bucket and a prefix", hint=_EXAMPLE)
    given = parse_qsl(query, keep_blank_values=True)
    if query and [name for name, _ in given] != ["endpoint"]:
        raise SettingsError("a delta+s3 URL accepts no parameter except endpoint", hint=_SECRETS)
    base = f"//{parts.netloc}{parts.path.rstrip('/')}"
    if not given:
        return base, {}
    endpoint = given[0][1]
    found = urlsplit(endpoint)
    if found.scheme not in ("http", "https") or not found.hostname or found.username or found.password or found.query:
        raise SettingsError("the endpoint of a bucket must be http:// or https:// and a host", hint=_EXAMPLE)
    options = {"AWS_ENDPOINT_URL": endpoint.rstrip("/")}
    return base, options | ({"AWS_ALLOW_HTTP": "true"} if found.scheme == "http" else {})
