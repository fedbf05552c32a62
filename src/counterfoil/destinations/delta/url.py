"""What the URL of a Delta destination says; the library for Delta tables is imported when one is chosen."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from counterfoil.destinations.protocol import Destination
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings

_EXAMPLE = "Such as delta+s3://bucket/prefix, or delta+s3://bucket/prefix?endpoint=https://minio.example.com."
_SECRETS = "Keep credentials where AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say."


def delta_destination(scheme: str, path: str, *, relative_to: Path, settings: Settings) -> Destination:
    """The destination of what stands behind the scheme; SettingsError when it is no place, or the extra is missing."""
    try:
        from counterfoil.destinations.delta.destination import DeltaDestination
    except ModuleNotFoundError as error:
        if error.name != "deltalake":
            raise
        raise SettingsError(
            "Delta tables need the package deltalake", hint="pip install 'counterfoil[delta]', and start this again."
        ) from error
    if scheme == "delta":
        return DeltaDestination.in_folder(Path(relative_to, Path(path).expanduser()), settings)
    base, options = bucket_of(path)
    query = f"?endpoint={options['AWS_ENDPOINT_URL']}" if options else ""
    return DeltaDestination.in_bucket(f"s3:{base}", options, f"delta+s3:{base}{query}", settings)


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
