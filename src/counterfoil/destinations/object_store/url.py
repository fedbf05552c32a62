"""Parses the URL of a folder in an object store. It has no credentials: the store's own library finds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.errors import SettingsError


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One kind of store: fsspec's name for it, and its library's names for the parameters of a URL."""

    scheme: str
    #: The extra that installs the library.
    extra: str
    example: str
    takes: Mapping[str, str]
    #: Where the library looks for credentials.
    credentials: str


_S3 = StoreKind(
    "s3",
    "s3",
    "s3://bucket/stripe",
    MappingProxyType({"endpoint": "endpoint_url", "region": "region_name", "profile": "profile"}),
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws (?profile=…), or the role of the machine",
)
_GCS = StoreKind(
    "gs",
    "gcs",
    "gs://bucket/stripe",
    MappingProxyType({"endpoint": "endpoint_url", "project": "project"}),
    "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the account of the machine",
)
_AZURE = StoreKind(
    "az",
    "azure",
    "az://container/stripe?account=NAME",
    MappingProxyType({"account": "account_name"}),
    "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_ID etc., or the identity of the machine",
)
#: By scheme; several schemes can name the same store.
STORES: Mapping[str, StoreKind] = MappingProxyType(
    {"s3": _S3, "gs": _GCS, "gcs": _GCS, "az": _AZURE, "abfs": _AZURE, "abfss": _AZURE}
)
_SECRET = re.compile(r"key|secret|token|pass|sas|cred|sig|conn", re.IGNORECASE)
_HIDDEN = "Remove credentials from the URL, and use {}."


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A folder of an object store, and how to connect to it."""

    kind: StoreKind
    bucket: str
    #: Without slashes at its ends; may be empty.
    prefix: str
    parameters: Mapping[str, str]
    #: Whether each month has a folder of its files.
    monthly: bool

    @property
    def root(self) -> str:
        """The folder as fsspec names it."""
        return f"{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def name(self) -> str:
        """The normalized URL, which opens the same folder."""
        parameters = dict(self.parameters) | ({"partition": "month"} if self.monthly else {})
        query = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        return f"{self.kind.scheme}://{self.root}{'?' if query else ''}{query}"


def store_address(url: str) -> StoreAddress:
    """SettingsError if the URL names no folder in a store. The message never repeats a possible secret."""
    scheme, _, rest = url.partition(":")
    kind = STORES[scheme.lower()]
    if not rest.startswith("//"):
        raise SettingsError(f"a {scheme} URL needs two slashes and a bucket", hint=f"Use a URL such as {kind.example}")
    rest = rest.removeprefix("//")
    path, _, query = rest.partition("?")
    bucket, _, prefix = path.partition("/")
    parameters = dict(_parameters(kind, query))
    if kind is _AZURE and "@" in bucket:
        # abfs://container@account.dfs.core.windows.net/path
        bucket, _, host = bucket.partition("@")
        parameters.setdefault("account", host.partition(".")[0])
    if "@" in bucket or ":" in bucket:
        raise SettingsError(f"the {scheme} URL contains a user", hint=_HIDDEN.format(kind.credentials))
    prefix = prefix.strip("/")
    if not bucket or {"", ".", ".."} & set(prefix.split("/") if prefix else ()) or set(path) & set("\0*?[]#"):
        raise SettingsError(f"invalid bucket or folder in the {scheme} URL", hint=f"Use a URL such as {kind.example}")
    monthly = parameters.pop("partition", None)
    if monthly not in (None, "month"):
        raise SettingsError("the parameter partition accepts only month", hint="Use ?partition=month.")
    return StoreAddress(kind, bucket, prefix, MappingProxyType(parameters), monthly is not None)


def _parameters(kind: StoreKind, query: str) -> Mapping[str, str]:
    found = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name != "partition" and name not in kind.takes:
            secret = _HIDDEN.format(kind.credentials)
            known = f"Use one of: {', '.join((*kind.takes, 'partition'))}."
            raise SettingsError(
                f"unsupported parameter in the {kind.scheme} URL", hint=secret if _SECRET.search(name) else known
            )
        if not value:
            raise SettingsError(f"the parameter {name} has no value", hint="Add a value, or remove it.")
        found[name] = value
    endpoint = urlsplit(found.get("endpoint", "https://host"))
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc or "@" in endpoint.netloc:
        raise SettingsError(
            "invalid endpoint", hint="Use a URL without a user, such as ?endpoint=http://127.0.0.1:9000"
        )
    return found
