"""An object store for the tests: moto's S3, by threads of this process, on a port of the loopback."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: What the store takes: any key will do.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Objects:
    """The store, and a client that knows nothing of us."""

    def __init__(self, endpoint: str) -> None:
        from fsspec import filesystem

        self.endpoint = endpoint
        self.files: Any = filesystem(
            "s3", key="testing", secret="testing", endpoint_url=endpoint, use_listings_cache=False
        )

    def bucket(self) -> str:
        """The name of a new one, which is empty."""
        name = f"b{uuid.uuid4().hex}"
        self.files.mkdir(name)
        return name


@contextmanager
def serving() -> Iterator[Objects]:
    """A store while the block lasts."""
    from moto.server import ThreadedMotoServer

    # A line for each request would be most of what a failed test shows.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Objects(f"http://{host}:{port}")
    finally:
        server.stop()
