"""As many requests as the server answers: python -m tests.benchmarks.closed_client, a plan as JSON on stdin.

A closed loop: each connection sends its next request when one was answered. So this says nothing of latency; it keeps
the gateway busy while its CPU time is read. All messages are made and signed before the first is sent, and the sockets
are driven by hand, so that the client takes a fraction of what it makes the gateway do.

The plan: `port`; `is_websocket`; `lanes`, each with a number of `connections`, what each of these sends first
(`opening`: each message is answered before the next; for a WebSocket its handshake and log-on), the `messages` that
they share, each sent once, in this order, and how many of them a connection has under way (`window`). Messages are in
base64. Prints the number of good and other answers as JSON, with the ends of some others.
"""

import base64
import json
import select
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

READ_BYTES: Final = 1 << 18
TIMEOUT_S: Final = 60.0
SHOWN: Final = 160
FIN_TEXT: Final = 0x81


def http_length(data: bytes) -> int:
    """Bytes of the whole answer that `data` begins with; 0 while its head is not complete. Names in small letters."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if data.startswith(b"HTTP/1.1 101"):
        return end + 4
    at = data.find(b"content-length: ", 0, end) + 16
    return end + 4 + int(data[at : data.find(b"\r", at)])


def frame_length(data: bytes) -> int:
    """The same for a WebSocket frame of a server, which is not masked."""
    short = data[1] & 127 if len(data) > 1 else 0
    if short < 126:
        return 2 + short if len(data) > 1 else 0
    head = 4 if short == 126 else 10
    return head + int.from_bytes(data[2:head], "big") if len(data) >= head else 0


class Connection:
    __slots__ = ("buffer", "messages", "socket", "upgraded", "window")

    def __init__(self, port: int, opening: list[bytes], messages: Iterator[bytes], window: int) -> None:
        self.messages = messages
        self.window = window
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.upgraded = False
        for message in opening:
            self.socket.sendall(message)
            while not (answer := self.taken()):
                self.read()
            if b"HTTP/1.1 101" not in answer and b'"status":200' not in answer:
                raise SystemExit(f"refused: {answer[:SHOWN]!r}")

    def read(self) -> None:
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise SystemExit(f"the connection ended: {self.buffer[:SHOWN]!r}")
        self.buffer += data

    def taken(self) -> bytes:
        """A whole answer off the buffer, or nothing; pings of a WebSocket are no answers."""
        while True:
            length = frame_length(self.buffer) if self.upgraded else http_length(self.buffer)
            if not length or len(self.buffer) < length:
                return b""
            answer, self.buffer = self.buffer[:length], self.buffer[length:]
            if not self.upgraded:
                self.upgraded = answer.startswith(b"HTTP/1.1 101")
                return answer
            if answer[0] == FIN_TEXT:
                return answer

    def send_next(self) -> bool:
        """False when there is nothing more to send."""
        message = next(self.messages, None)
        if message is None:
            return False
        self.socket.sendall(message)
        return True


def run(connections: list[Connection], good: bytes) -> tuple[int, Counter[str]]:
    """(good answers, others). `good` stands in an answer that counts."""
    poll = select.epoll()
    by_number = {each.socket.fileno(): each for each in connections}
    done, others = 0, Counter[str]()
    under_way = 0
    for each in connections:
        poll.register(each.socket, select.EPOLLIN)
        under_way += sum(each.send_next() for _ in range(each.window))
    while under_way:
        ready = poll.poll(TIMEOUT_S)
        if not ready:
            raise SystemExit(f"{under_way} requests were not answered within {TIMEOUT_S:.0f} s")
        for number, _ in ready:
            each = by_number[number]
            each.read()
            while answer := each.taken():
                if good in answer:
                    done += 1
                else:
                    others[answer[-SHOWN:].decode("latin-1")] += 1
                under_way -= not each.send_next()
    return done, others


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    connections: list[Connection] = []
    for lane in plan["lanes"]:
        opening, messages = ([base64.b64decode(text) for text in lane[name]] for name in ("opening", "messages"))
        shared = iter(messages)
        connections += [
            Connection(plan["port"], opening, shared, lane["window"]) for _ in range(lane["connections"])
        ]  # fmt: skip
    done, others = run(connections, b'"status":200' if plan["is_websocket"] else b"HTTP/1.1 200")
    json.dump({"done": done, "refused": others.total(), "others": list(dict(others.most_common(3)))}, sys.stdout)


if __name__ == "__main__":
    main()
