"""All commands of one loop tick in one append to redis-core (architecture.md section 3)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from apps.common.crashpoints import reach
from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered
from apps.gateway.policy import REPLY_TIMEOUT_S
from apps.gateway.tail import EventTail
from apps.streams.bus import scripts
from apps.streams.codec import encode_command
from apps.streams.commands import Command
from apps.streams.names import ShardKeys

Reply = asyncio.Future[list[bytes]]


class _Batch:
    """Commands of one loop tick; `due_s` is when whoever still waits is told that the outcome is unknown."""

    __slots__ = ("due_s", "frames", "replies")

    def __init__(self, due_s: float) -> None:
        self.due_s = due_s
        self.frames: list[bytes] = []
        self.replies: list[Reply] = []

    def is_answered(self) -> bool:
        return all(reply.done() for reply in self.replies)

    def fail(self, make: Callable[[], errors.ApiError]) -> None:
        for reply in self.replies:
            if not reply.done():
                reply.set_exception(make())


class Batcher:
    """`send` appends a command and returns all events that it caused, in order, as 192-byte records.

    Order is kept: commands sent earlier in this process stand earlier in the log.
    """

    def __init__(self, pipe: CorePipe, tail: EventTail, keys: ShardKeys) -> None:
        self._pipe = pipe
        self._tail = tail
        self._keys = keys
        self._batch: _Batch | None = None
        # Oldest first; those in front are dropped as soon as they are answered. One timer for all of them.
        self._waiting: deque[_Batch] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, command: Command) -> list[bytes]:
        """Raises not_executed (503) when nothing was appended and unknown_outcome (504) when that is not known."""
        return await self.send_run(encode_command(command))

    def send_run(self, frames: bytes) -> Reply:
        """The same for the frame run of one command."""
        loop = asyncio.get_running_loop()
        reply: Reply = loop.create_future()
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch(loop.time() + REPLY_TIMEOUT_S)
            loop.call_soon(self._flush)
        batch.frames.append(frames)
        batch.replies.append(reply)
        return reply

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None, "a flush is planned only with a batch"
        while self._waiting and self._waiting[0].is_answered():
            self._waiting.popleft()
        self._waiting.append(batch)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(batch.due_s, self._give_up)
        self._tail.appends_in_flight += 1
        reach("gateway.append.before")
        answer = self._pipe.execute(
            "EVALSHA", scripts.APPEND_COMMANDS_SHA, 2, self._keys.commands, self._keys.frames_in,
            *scripts.append_arguments(b"".join(batch.frames)),
        )  # fmt: skip
        answer.add_done_callback(lambda done: self._appended(batch, done))

    def _appended(self, batch: _Batch, answer: "asyncio.Future[Any]") -> None:
        self._tail.appends_in_flight -= 1
        error = answer.exception()
        if error is None:
            reach("gateway.append.after")
            entry_ms, entry_n = (int(part) for part in bytes(answer.result()).split(b"-"))
            self._tail.expect(entry_ms, entry_n, batch.replies)
        elif isinstance(error, CoreAway | ResponseError):
            # Not sent, or refused as a whole (out of memory, script unknown): nothing was appended.
            batch.fail(errors.not_executed)
        else:
            batch.fail(errors.unknown_outcome)
            if not isinstance(error, CoreUnanswered):
                raise error

    def _give_up(self) -> None:
        """REPLY_TIMEOUT_S after the oldest unanswered command."""
        loop = asyncio.get_running_loop()
        while self._waiting and (self._waiting[0].due_s <= loop.time() or self._waiting[0].is_answered()):
            self._waiting.popleft().fail(errors.unknown_outcome)
        self._timer = loop.call_at(self._waiting[0].due_s, self._give_up) if self._waiting else None
