"""An object store for the tests: moto's S3 in threads of this process, on a port of the loopback interface."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Credentials for the store, which accepts any key.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Objects:
    """The store, and an independent client."""

    def __init__(self, endpoint: str) -> None:
        from fsspec import filesystem

        self.endpoint = endpoint
        self.files: Any = filesystem(
            "s3", key="testing", secret="testing", endpoint_url=endpoint, use_listings_cache=False
        )

    def bucket(self) -> str:
        """Creates an empty bucket; returns its name."""
        name = f"b{uuid.uuid4().hex}"
        self.files.mkdir(name)
        return name


@contextmanager
def serving() -> Iterator[Objects]:
    """A store for the duration of the block."""
    from moto.server import ThreadedMotoServer

    # Log lines of requests would hide the rest of the output of a failed test.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Objects(f"http://{host}:{port}")
    finally:
        server.stop()
