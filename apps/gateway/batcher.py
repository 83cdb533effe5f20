"""All commands of one loop tick in one append to redis-core (architecture.md section 3)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(slots=True)
class _Batch:
    frames: list[bytes]
    replies: list["asyncio.Future[list[bytes]]"]


class Batcher:
    """`send` appends a command and returns all events that it caused, in order, as 192-byte records.

    Order is kept: commands sent earlier in this process stand earlier in the log.
    """

    def __init__(self, pipe: CorePipe, tail: EventTail, keys: ShardKeys) -> None:
        self._pipe = pipe
        self._tail = tail
        self._keys = keys
        self._batch: _Batch | None = None
        self._appends: set[asyncio.Task[None]] = set()

    async def send(self, command: Command) -> list[bytes]:
        """Raises not_executed (503) when nothing was appended and unknown_outcome (504) when that is not known."""
        return await self.send_run(encode_command(command))

    async def send_run(self, frames: bytes) -> list[bytes]:
        """The same for the frame run of one command."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[list[bytes]] = loop.create_future()
        if self._batch is None:
            self._batch = _Batch([], [])
            loop.call_soon(self._flush)
        self._batch.frames.append(frames)
        self._batch.replies.append(reply)
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await reply
        except TimeoutError as error:
            raise errors.unknown_outcome() from error

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None, "a flush is planned only with a batch"
        task = asyncio.get_running_loop().create_task(self._append(batch))
        self._appends.add(task)
        task.add_done_callback(self._appends.discard)

    async def _append(self, batch: _Batch) -> None:
        frames = b"".join(batch.frames)
        self._tail.appends_in_flight += 1
        reach("gateway.append.before")
        try:
            answer = await self._pipe.execute(
                "EVALSHA", scripts.APPEND_COMMANDS_SHA, 2, self._keys.commands, self._keys.frames_in,
                *scripts.append_arguments(frames),
            )  # fmt: skip
        except (CoreAway, ResponseError):
            # Not sent, or refused as a whole (out of memory, script unknown): nothing was appended.
            self._fail(batch, errors.not_executed)
        except CoreUnanswered:
            self._fail(batch, errors.unknown_outcome)
        else:
            reach("gateway.append.after")
            entry_ms, entry_n = (int(part) for part in bytes(answer).split(b"-"))
            self._tail.expect(entry_ms, entry_n, batch.replies)
        finally:
            self._tail.appends_in_flight -= 1

    @staticmethod
    def _fail(batch: _Batch, make: Callable[[], errors.ApiError]) -> None:
        for reply in batch.replies:
            if not reply.done():
                reply.set_exception(make())
