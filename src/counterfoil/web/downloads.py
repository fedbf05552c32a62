"""Files streamed while they are generated; their resources are released when the response ends or fails."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonl",
}


class Download(StreamingResponse):
    """A file download. When the client disconnects, the chunks and their sources are closed."""

    def __init__(self, chunks: Generator[bytes], name: str, suffix: str) -> None:
        super().__init__(
            chunks,
            media_type=MEDIA_TYPES[suffix],
            headers={"Content-Disposition": f'attachment; filename="{file_name(name)}{suffix}"'},
        )
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._chunks.close)


def file_name(name: str) -> str:
    """The name reduced to ASCII letters, digits and hyphens, valid on every file system."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:80] or "rows"
