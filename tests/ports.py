"""Ports for servers of tests that nobody else takes between the choice and the start of the server.

They lie below the range from which the system gives ports to outgoing connections (from 32768 on Linux, 49152
elsewhere), and each of the processes of a parallel run has its own share of them.
"""

import itertools
import os
import random
import socket
from typing import Final

FIRST: Final = 20_000
SHARE: Final = 2_000
SHARES: Final = 6
_numbers = itertools.count(random.randrange(SHARE))


def free_port() -> int:
    """The next port of this process's share that can be bound on loopback."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + worker % SHARES * SHARE
    for number in itertools.islice(_numbers, SHARE):
        port = first + number % SHARE
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port is free from {first} to {first + SHARE - 1}")
