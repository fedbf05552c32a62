"""What the URL of a Delta destination in a bucket says."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from counterfoil.errors import SettingsError

_EXAMPLE = "Such as delta+s3://bucket/prefix, or delta+s3://bucket/prefix?endpoint=https://minio.example.com."
_SECRETS = "Keep credentials where AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say."


def bucket_of(rest: str) -> tuple[str, dict[str, str]]:
    """`//bucket/prefix`, and the options of its object store; nothing secret may stand in either."""
    place, _, query = rest.partition("?")
    parts = urlsplit(place)
    if "@" in parts.netloc:
        raise SettingsError("the URL of a bucket holds no user and no password", hint=_SECRETS)
    if not parts.netloc or ":" in parts.netloc or "#" in place or "\0" in place:
        raise SettingsError("a delta+s3 destination has two slashes, a bucket and a prefix", hint=_EXAMPLE)
    given = parse_qsl(query, keep_blank_values=True)
    if query and [name for name, _ in given] != ["endpoint"]:
        raise SettingsError("a delta+s3 destination takes no parameter but endpoint", hint=f"{_EXAMPLE} {_SECRETS}")
    base = f"//{parts.netloc}{parts.path.rstrip('/')}"
    if not given:
        return base, {}
    endpoint = given[0][1]
    found = urlsplit(endpoint)
    if found.scheme not in ("http", "https") or not found.hostname or found.username or found.password or found.query:
        raise SettingsError("the endpoint of a bucket is http:// or https:// and a host", hint=f"{_EXAMPLE} {_SECRETS}")
    options = {"AWS_ENDPOINT_URL": endpoint.rstrip("/")}
    return base, options | ({"AWS_ALLOW_HTTP": "true"} if found.scheme == "http" else {})
