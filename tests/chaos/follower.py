"""Both streams of redis-core as raw bytes, collected while the exchange runs, before trimming can take them.

A follower registers a cursor of its own, so that trimming waits for it, but goes on as it does in production.
What it has seen once must never change or vanish: every entry was durable before a reader got it.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

POLL_S = 0.2
COUNT = 2_000
CURSOR_EVERY_S = 2.0


@dataclass(slots=True)
class RawLog:
    """Entries as (id, {field: value}), oldest first, and the skips as stored."""

    commands: list[tuple[bytes, dict[bytes, bytes]]] = field(default_factory=list)
    events: list[tuple[bytes, dict[bytes, bytes]]] = field(default_factory=list)
    skips: dict[bytes, bytes] = field(default_factory=dict)


class Follower:
    """`read` may be called by any thread; `start` polls in one of its own."""

    def __init__(self, url: str, shard: str = "spot") -> None:
        self._redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=10)
        self._keys = {name: f"{{{shard}}}:{name}" for name in ("commands", "events", "skips", "cursors", "trimmed")}
        self._cursor_at = 0.0
        self._paused = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.log = RawLog()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Look away while a test replaces the log by another one and back."""
        self._paused = True
        with self._lock:
            pass  # a read under way has ended

    def resume(self) -> None:
        self._paused = False

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(20)
        self._redis.close()

    def read(self) -> None:
        """What is new: events first, so that every event's command is there too. redis.RedisError: core is away."""
        with self._lock:
            self._read_new(self._keys["events"], self.log.events)
            self._read_new(self._keys["commands"], self.log.commands)
            self.log.skips = self._redis.hgetall(self._keys["skips"])
            if time.monotonic() >= self._cursor_at:
                self._cursor_at = time.monotonic() + CURSOR_EVERY_S
                self._set_cursors()

    def taken(self) -> RawLog:
        """What was read so far, for a judge that must not see more while it judges."""
        with self._lock:
            return RawLog(list(self.log.commands), list(self.log.events), self.log.skips)

    def again(self) -> tuple[RawLog, bytes, bytes]:
        """(what redis-core holds now, its trimmed command id, its trimmed seq): a fresh copy to lay beside `log`."""
        with self._lock:
            fresh = RawLog()
            self._read_new(self._keys["events"], fresh.events)
            self._read_new(self._keys["commands"], fresh.commands)
            cmd, seq = self._redis.hmget(self._keys["trimmed"], "cmd", "seq")
            return fresh, cmd or b"0-0", seq or b"0"

    def _read_new(self, key: str, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        while True:
            after = entries[-1][0] if entries else b"0-0"
            answer: Any = self._redis.xread({key: after}, count=COUNT)
            if not answer:
                return
            entries.extend(answer[0][1])
            if len(answer[0][1]) < COUNT:
                return

    def _set_cursors(self) -> None:
        now_ms = int(time.time() * 1000)
        command = self.log.commands[-1][0].decode() if self.log.commands else "0-0"
        seq = self.log.events[-1][0].decode().partition("-")[0] if self.log.events else "0"
        cursors = {"chaos-commands": f"commands:{command}:{now_ms}", "chaos-events": f"events:{seq}:{now_ms}"}
        self._redis.hset(self._keys["cursors"], mapping=cursors)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                if not self._paused:
                    self.read()
            except redis.RedisError:
                continue  # it is being killed on purpose; the next poll reads on from the same place
