"""Long answers, sent part by part: neither the whole of one nor a database connection is held meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import StreamingHttpResponse


def streamed(parts: Iterator[str], *, content_type: str, filename: str) -> StreamingHttpResponse:
    """`parts`, each made when the one before has been taken by whoever reads: a file to be saved as `filename`."""
    answer = StreamingHttpResponse(_sent(parts), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{filename}"'
    return answer


async def _sent(parts: Iterator[str]) -> AsyncIterator[bytes]:
    while True:
        began_s = time.monotonic()
        part = await sync_to_async(_next)(parts)
        if part is None:
            return
        took_s = time.monotonic() - began_s
        yield part.encode()
        # Pages that others ask for, and orders where cores are few, come between two parts of a file of seconds.
        await asyncio.sleep(took_s)


def _next(parts: Iterator[str]) -> str | None:
    part = next(parts, None)
    # Whoever reads slowly must not keep one of the few connections of the site's pool. It is not ours within somebody
    # else's transaction.
    if not connection.in_atomic_block:
        connection.close()
    return part
