"""A local copy of one market's book that the exchange's checksums prove (docs/streams.md).

python local_book.py http://localhost:8000 BTCUSDT        needs: pip install websockets
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from urllib.request import urlopen
from zlib import crc32

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

Book = dict[str, dict[str, str]]


def checksum(book: Book, update_id: int) -> int:
    parts = [str(update_id)]
    for side in ("b", "a"):
        best = sorted(book[side], key=Decimal, reverse=side == "b")[:100]
        parts += [side, *(part for price in best for part in (price, book[side][price]))]
    return crc32(":".join(parts).encode())


def follow(address: str, symbol: str) -> Iterator[tuple[int, Book]]:
    """(update id, book) whenever a checksum has proved it. After a gap, a difference or a lost connection it starts
    over by itself, and waits before: longer each time until a book is proved again, and never all clients at once.
    """
    name, snapshot = symbol.lower(), f"{address}/api/v3/depth?symbol={symbol}&limit=5000"
    streams = f"{address.replace('http', 'ws', 1)}/stream?streams={name}@depth@100ms/{name}@bookChecksum"
    failures = 0
    while True:
        with suppress(WebSocketException, OSError), connect(streams) as socket:
            for proved in read(map(json.loads, socket), snapshot):
                failures = 0
                yield proved
        pause_s = min(30, 2**failures)
        time.sleep(random.uniform(pause_s / 2, pause_s))
        failures = min(failures + 1, 5)


def read(messages: Iterator[dict[str, dict]], snapshot: str) -> Iterator[tuple[int, Book]]:
    book, at = {}, 0
    for message in messages:
        event = message.get("data")
        if event is None:  # serverShutdown
            return
        if event["e"] == "bookChecksum":
            if book and event["u"] == at:
                if checksum(book, at) != event["c"]:
                    return
                yield at, book
            continue
        if not book:
            answer = json.load(urlopen(snapshot))
            if answer["lastUpdateId"] + 1 < event["U"]:
                continue
            book, at = {"b": dict(answer["bids"]), "a": dict(answer["asks"])}, answer["lastUpdateId"]
        if event["u"] <= at:
            continue
        if event["U"] > at + 1:
            return
        for side in ("b", "a"):
            book[side] |= event[side]
            book[side] = {price: quantity for price, quantity in book[side].items() if Decimal(quantity)}
        at = event["u"]


if __name__ == "__main__":
    for at, book in follow(*sys.argv[1:]):
        print(at, f"verified, {len(book['b'])} bids and {len(book['a'])} asks", flush=True)
