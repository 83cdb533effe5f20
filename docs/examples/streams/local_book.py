"""A local copy of one market's book that the exchange's checksums prove (docs/streams.md).

python local_book.py http://localhost:8000 BTCUSDT        needs: pip install websockets

`checksum` and `keep` are all the rules; the rest connects, and connects again.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from urllib.error import HTTPError
from urllib.request import urlopen
from zlib import crc32

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

Book = dict[str, dict[str, str]]


class Broken(Exception):
    """The book cannot be kept any further: begin again with a new connection and snapshot."""


def checksum(book: Book, update_id: int) -> int:
    parts = [str(update_id)]
    for side in ("b", "a"):
        best = sorted(book[side], key=Decimal, reverse=side == "b")[:100]
        parts += [side, *(part for price in best for part in (price, book[side][price]))]
    return crc32(":".join(parts).encode())


def keep(messages: Iterator[dict], snapshot: dict) -> Iterator[tuple[int, Book]]:
    """(update id, book) whenever a checksum has proved it. The snapshot is asked for after the streams have begun."""
    book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    at = snapshot["lastUpdateId"]
    for message in messages:
        event = message.get("data")
        if event is None:
            raise Broken("the server shuts down")
        if event["e"] == "bookChecksum":
            if event["u"] == at:
                if checksum(book, at) != event["c"]:
                    raise Broken(f"the checksum of update {at} differs")
                yield at, book
        elif event["u"] > at:
            if event["U"] > at + 1:
                raise Broken(f"updates {at + 1} to {event['U'] - 1} are missing")
            for side in ("b", "a"):
                book[side] |= event[side]
                book[side] = {price: quantity for price, quantity in book[side].items() if Decimal(quantity)}
            at = event["u"]


def load(address: str, symbol: str) -> dict:
    with urlopen(f"{address}/api/v3/depth?symbol={symbol}&limit=5000", timeout=10) as answer:
        return json.load(answer)


def follow(address: str, symbol: str) -> Iterator[tuple[int, Book]]:
    """As `keep`, for ever: after whatever ends it begins again, and waits before: longer each time until a book is
    proved again, and never all clients at once. What the server refuses (HTTP 4xx) ends it: ValueError.
    """
    name, failures = symbol.lower(), 0
    streams = f"{address.replace('http', 'ws', 1)}/stream?streams={name}@depth@100ms/{name}@bookChecksum"
    while True:
        try:
            with connect(streams) as socket:
                for proved in keep(map(json.loads, socket), load(address, symbol)):
                    failures = 0
                    yield proved
            reason = "the server closed the connection"
        except (Broken, WebSocketException, OSError) as error:
            reason = refusal(error) or str(error) or type(error).__name__
        pause_s = random.uniform(0.5, 1) * min(30, 2**failures)
        print(f"{reason}; again in {pause_s:.1f} s", file=sys.stderr, flush=True)
        time.sleep(pause_s)
        failures = min(failures + 1, 5)


def refusal(error: Exception) -> str:
    """What the server answered instead of data, "" where it did not; raises ValueError if it is this client's fault."""
    if isinstance(error, HTTPError):
        status, body = error.code, error.read()
    elif isinstance(error, InvalidStatus):
        status, body = error.response.status_code, error.response.body
    else:
        return ""
    reason = f"the server answers {status} {body.decode(errors='replace')}"
    if 400 <= status < 500:
        raise ValueError(reason) from error
    return reason


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].startswith("http"):
        sys.exit("usage: python local_book.py http://localhost:8000 BTCUSDT")
    try:
        for at, book in follow(sys.argv[1], sys.argv[2]):
            print(at, f"verified, {len(book['b'])} bids and {len(book['a'])} asks", flush=True)
    except ValueError as error:
        sys.exit(str(error))
