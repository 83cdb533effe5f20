"""What a broken connection to redis-core means: known nothing-happened, or unknown, and never a command sent twice."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis

from apps.streams.bus import link
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.errors import AppendUnknown, BusAway, BusRefused, Gap
from apps.streams.bus.link import Subscription
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from tests.matching.waiting import until

TICK = encode_command(Tick())


class Cutter:
    """A proxy on a unix socket that swallows the next answer and closes, when told to."""

    def __init__(self, target: str, path: Path) -> None:
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.url = f"unix://{path}"
        self.swallow_next_answer = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                for source, sink, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=(source, sink, is_answer), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self.swallow_next_answer:
                    self.swallow_next_answer = False
                    break
                sink.sendall(data)
            for end in (source, sink):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def cutter(core: redis.Redis, redis_core_url: str, tmp_path: Path) -> Iterator[Cutter]:
    core.ping()
    proxy = Cutter(unquote(urlsplit(redis_core_url).path), tmp_path / "cut.sock")
    yield proxy
    proxy.close()


@pytest.fixture
def bus(cutter: Cutter) -> Iterator[RedisBus]:
    made = RedisBus(cutter.url, "spot")
    made.raise_epoch(1)
    yield made
    made.close()


def append(bus: RedisBus, body: bytes = b"e") -> None:
    bus.append_events(
        epoch=1, first_seq=1, last_seq=1, prev_chain="", chain="aa", last_cmd=EntryId(1, 0), body=body, rules_version=1
    )  # fmt: skip


def test_an_unanswered_event_append_is_unknown_and_repeating_it_settles_it(bus: RedisBus, cutter: Cutter) -> None:
    cutter.swallow_next_answer = True
    with pytest.raises(AppendUnknown):
        append(bus)
    append(bus)
    assert len(bus.read_events(0, count=10)) == 1
    with pytest.raises(Gap):
        bus.append_events(
            epoch=1, first_seq=1, last_seq=1, prev_chain="", chain="bb", last_cmd=EntryId(1, 0), body=b"other",
            rules_version=1,
        )  # fmt: skip


def test_an_unanswered_command_append_is_unknown_and_was_sent_once(bus: RedisBus, cutter: Cutter) -> None:
    cutter.swallow_next_answer = True
    with pytest.raises(AppendUnknown):
        bus.append_commands(TICK)
    assert len(bus.read_commands(START, count=10)) == 1
    assert bus.frame_count().appended == 1


def test_a_lost_read_says_so_once_and_the_next_call_connects_again(bus: RedisBus, cutter: Cutter) -> None:
    cutter.swallow_next_answer = True
    with pytest.raises(BusAway):
        bus.head()
    before = cutter.connections
    assert bus.head().seq == 0
    assert cutter.connections == before + 1


def test_no_server(tmp_path: Path) -> None:
    nobody = RedisBus(f"unix://{tmp_path}/nobody.sock", "spot")
    for call in (nobody.head, nobody.epoch, lambda: nobody.append_commands(TICK), lambda: append(nobody)):
        with pytest.raises(BusAway):
            call()


def test_an_answer_that_never_comes_is_given_up(
    bus: RedisBus, core: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the call before the freeze on a busy machine.
    monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 3.0)
    impatient = bus.another()
    assert impatient.epoch() == 1
    server = int(core.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(AppendUnknown):
            impatient.append_commands(TICK)
        assert time.monotonic() - started < 20
    finally:
        os.kill(server, signal.SIGCONT)
    assert len(bus.read_commands(START, count=10)) == 1
    impatient.close()


def test_forgotten_scripts_are_loaded_at_the_next_connection(bus: RedisBus, core: redis.Redis) -> None:
    core.script_flush()
    with pytest.raises(BusRefused):
        bus.append_commands(TICK)
    bus.append_commands(TICK)
    assert len(bus.read_commands(START, count=10)) == 1


def test_a_user_without_rights_is_told(core: redis.Redis, redis_core_url: str) -> None:
    core.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+ping")
    try:
        path = urlsplit(redis_core_url).path
        bus = RedisBus(f"unix://reader:wrong@{path}", "spot")
        with pytest.raises(BusRefused, match="refuses this user"):
            bus.head()
    finally:
        core.execute_command("ACL", "DELUSER", "reader")


def test_a_subscription_hears_what_was_said_since_the_call_before(core: redis.Redis, redis_core_url: str) -> None:
    wanted = Subscription(redis_core_url, "wanted")
    assert not wanted.wait(0)
    for text in ("7", "8"):
        assert core.publish("wanted", text) == 1
    core.ping()  # both are written before this is answered
    assert wanted.wait(60)
    assert not wanted.wait(0), "both have been heard"
    wanted.close()
    until(lambda: core.publish("wanted", "9") == 0, what="redis-core knows that nobody listens")


def test_a_subscription_whose_connection_ends_says_so(core: redis.Redis, redis_core_url: str) -> None:
    wanted = Subscription(redis_core_url, "wanted")
    assert not wanted.wait(0)
    core.client_kill_filter(_type="pubsub")
    with pytest.raises(BusAway):
        wanted.wait(60)
    assert not wanted.wait(0), "it has subscribed again"
    assert core.publish("wanted", "10") == 1
    assert wanted.wait(60)
    wanted.close()
