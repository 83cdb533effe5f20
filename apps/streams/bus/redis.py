"""The bus over redis-core. Scripts and their semantics: scripts.py; what a lost connection means: link.py."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self
from zlib import crc32

from redis.exceptions import ResponseError

from apps.streams.bus import scripts
from apps.streams.bus.base import (
    START,
    CommandEntry,
    Cursor,
    EntryId,
    EventEntry,
    FrameCount,
    Head,
    Trimmed,
)
from apps.streams.bus.errors import BadRange, BusError, BusRefused, Fenced, Gap, LogUnreadable
from apps.streams.bus.link import Link, Subscription
from apps.streams.codec import iter_runs
from apps.streams.names import ShardKeys
from apps.streams.records import FRAME_SIZE

# A blocking read is asked for again after this long, so that a silent server is noticed (link.ANSWER_TIMEOUT_S).
BLOCK_SLICE_MS: Final = 1_000


class RedisBus:
    """One shard's streams on redis-core, through one connection that is opened at the first call."""

    def __init__(self, url: str, shard: str) -> None:
        self._url = url
        self._shard = shard
        self._keys = ShardKeys(shard)
        self._link = Link(url)
        self._wanted = Subscription(url, self._keys.unsettled_reads_channel)

    @property
    def shard(self) -> str:
        return self._shard

    def another(self) -> Self:
        return type(self)(self._url, self._shard)

    def close(self) -> None:
        self._link.close()
        self._wanted.close()

    # -- commands -----------------------------------------------------------------------------------------------------
    def append_commands(self, frames: bytes, *, also_when_full: bool = False) -> EntryId:
        for _ in iter_runs(frames):
            pass
        keys = self._keys
        script = scripts.APPEND_OWN_COMMANDS if also_when_full else scripts.APPEND_COMMANDS
        arguments = scripts.append_arguments(frames)
        return EntryId.parse(self._script(script, (keys.commands, keys.frames_in), *arguments))

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        rows = self._read_stream(self._keys.commands, str(after), count, block_ms)
        with _parsing(self._keys.commands):
            return [_command_entry(entry_id, fields) for entry_id, fields in rows]

    def last_command(self) -> EntryId:
        try:
            rows = self._link.read("XINFO", "STREAM", self._keys.commands)
        except BusRefused as refused:
            if "no such key" in str(refused):
                return START
            raise
        return EntryId.parse(_pairs(rows)[b"last-generated-id"])

    # -- events -------------------------------------------------------------------------------------------------------
    def append_events(
        self,
        *,
        epoch: int,
        first_seq: int,
        last_seq: int,
        prev_chain: str,
        chain: str,
        last_cmd: EntryId,
        body: bytes,
        rules_version: int,
        frames_done: int | None = None,
    ) -> None:
        keys = self._keys
        append = self._script_call(
            scripts.APPEND_EVENTS, (keys.epoch, keys.events, keys.head),
            epoch, first_seq, last_seq, prev_chain, chain, str(last_cmd), body, rules_version,
        )  # fmt: skip
        calls = [append]
        if frames_done is not None:
            calls.append(self._script_call(scripts.SET_FRAMES_DONE, (keys.epoch, keys.frames_done), epoch, frames_done))
        try:
            self._link.write_all(calls)
        except ResponseError as refused:
            error = _meaning(refused)
            if not (isinstance(error, Gap) and (error.seq, error.chain) == (last_seq, chain)):
                raise error from refused

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        rows = self._read_stream(self._keys.events, f"{after_seq}-0", count, block_ms)
        with _parsing(self._keys.events):
            return [_event_entry(entry_id, fields) for entry_id, fields in rows]

    def head(self) -> Head:
        seq, chain, cmd = self._link.read("HMGET", self._keys.head, "seq", "chain", "cmd")
        with _parsing(self._keys.head):
            return Head(int(seq or 0), (chain or b"").decode("ascii"), EntryId.parse(cmd or b"0-0"))

    def chain_at(self, seq: int) -> str | None:
        head = self.head()
        if seq == head.seq:
            return head.chain
        rows = self._link.read("XRANGE", self._keys.events, f"{seq + 1}-0", "+", "COUNT", 1)
        with _parsing(self._keys.events):
            following = _event_entry(*rows[0]) if rows else None
        return following.prev_chain if following is not None and following.first_seq == seq + 1 else None

    # -- who writes ---------------------------------------------------------------------------------------------------
    def epoch(self) -> int:
        found = self._link.read("GET", self._keys.epoch)
        with _parsing(self._keys.epoch):
            return int(found or 0)

    def raise_epoch(self, epoch: int) -> bool:
        return bool(self._script(scripts.RAISE_EPOCH, (self._keys.epoch,), epoch))

    def take_lease(self, holder: str, *, ttl_ms: int) -> bool:
        return bool(self._script(scripts.TAKE_LEASE, (self._keys.epoch, self._keys.lease), holder, ttl_ms))

    def release_lease(self, holder: str) -> None:
        self._script(scripts.RELEASE_LEASE, (self._keys.lease,), holder)

    def lease_holder(self) -> str | None:
        holder = self._link.read("GET", self._keys.lease)
        return holder.decode() if holder is not None else None

    # -- bookkeeping --------------------------------------------------------------------------------------------------
    def frame_count(self) -> FrameCount:
        appended, done = self._link.read("MGET", self._keys.frames_in, self._keys.frames_done)
        with _parsing(self._keys.frames_in):
            return FrameCount(int(appended or 0), int(done or 0))

    def set_frames_done(self, done: int, *, epoch: int) -> None:
        self._script(scripts.SET_FRAMES_DONE, (self._keys.epoch, self._keys.frames_done), epoch, done)

    def recount_frames(self, done: int, *, after: EntryId, epoch: int) -> FrameCount:
        keys = self._keys
        waiting = self._script(
            scripts.RECOUNT_FRAMES, (keys.epoch, keys.commands, keys.frames_in, keys.frames_done),
            epoch, done, str(after), FRAME_SIZE,
        )  # fmt: skip
        return FrameCount(done + int(waiting), done)

    def read_skips(self) -> dict[str, str]:
        found = _pairs(self._link.read("HGETALL", self._keys.skips))
        with _parsing(self._keys.skips):
            return {commands.decode(): reason.decode() for commands, reason in found.items()}

    def write_skip(self, commands: str, reason: str, *, epoch: int) -> None:
        self._script(scripts.WRITE_SKIP, (self._keys.epoch, self._keys.skips), epoch, commands, reason)

    def trim(self, *, epoch: int, commands_to: EntryId, events_to: int) -> Trimmed:
        keys = self._keys
        cmd, seq = self._script(
            scripts.TRIM, (keys.epoch, keys.commands, keys.events, keys.trimmed),
            epoch, commands_to.ms, commands_to.n, events_to,
        )  # fmt: skip
        return Trimmed(EntryId.parse(cmd), int(seq))

    def trimmed(self) -> Trimmed:
        cmd, seq = self._link.read("HMGET", self._keys.trimmed, "cmd", "seq")
        with _parsing(self._keys.trimmed):
            return Trimmed(EntryId.parse(cmd or b"0-0"), int(seq or 0))

    def set_cursor(self, reader: str, *, stream: str, position: str, now_ms: int) -> None:
        value = f"{stream}:{position}:{now_ms}"
        self._script(scripts.SET_CURSOR, (self._keys.epoch, self._keys.cursors), reader, value)

    def cursors(self) -> dict[str, Cursor]:
        found = {}
        rows = _pairs(self._link.read("HGETALL", self._keys.cursors))
        with _parsing(self._keys.cursors):
            for reader, value in rows.items():
                stream, position, heartbeat_ms = value.decode().split(":")
                found[reader.decode()] = Cursor(stream, position, int(heartbeat_ms))
        return found

    def drop_cursor(self, reader: str) -> None:
        self._write("HDEL", self._keys.cursors, reader)

    def announce_settled(self, seq: int) -> None:
        keys = self._keys
        self._script(scripts.ANNOUNCE_SETTLED, (keys.epoch, keys.settled), seq, keys.settled_channel)

    def settled(self) -> int:
        found = self._link.read("GET", self._keys.settled)
        with _parsing(self._keys.settled):
            return int(found or 0)

    def wait_until_wanted(self, timeout_s: float) -> bool:
        return self._wanted.wait(timeout_s)

    def report_disk(self, free_bytes: int, *, ttl_ms: int) -> None:
        self._script(scripts.REPORT_DISK, (self._keys.epoch, self._keys.disk_free), free_bytes, ttl_ms)

    def disk_free(self) -> int | None:
        found = self._link.read("GET", self._keys.disk_free)
        return int(found) if found is not None else None

    # -- inner --------------------------------------------------------------------------------------------------------
    def _read_stream(self, key: str, after: str, count: int, block_ms: int) -> list[Any]:
        """[(entry id, [field, value, ...])], oldest first."""
        deadline = time.monotonic() + block_ms / 1000
        while True:
            left_ms = round((deadline - time.monotonic()) * 1000)
            block = ("BLOCK", min(left_ms, BLOCK_SLICE_MS)) if left_ms > 0 else ()
            answer = self._link.read("XREAD", "COUNT", count, *block, "STREAMS", key, after)
            if answer:
                return list(answer[0][1])
            if left_ms <= BLOCK_SLICE_MS:
                return []

    @staticmethod
    def _script_call(text: str, keys: tuple[str, ...], *arguments: str | bytes | int) -> tuple[str | bytes | int, ...]:
        return ("EVALSHA", scripts.SHA_BY_TEXT[text], len(keys), *keys, *arguments)

    def _script(self, text: str, keys: tuple[str, ...], *arguments: str | bytes | int) -> Any:
        return self._write(*self._script_call(text, keys, *arguments))

    def _write(self, *arguments: str | bytes | int) -> Any:
        try:
            return self._link.write(*arguments)
        except ResponseError as refused:
            raise _meaning(refused) from refused


def _meaning(refused: ResponseError) -> BusError:
    """The error that a script's error reply stands for."""
    word, _, rest = str(refused).partition(" ")
    if word == "FENCED":
        return Fenced(0 if rest == "none" else int(rest))
    if word == "GAP":
        seq, _, chain = rest.partition(" ")
        return Gap(int(seq), chain.strip())
    if word == "BADRANGE":
        return BadRange("last_seq is below first_seq or above 9e15")
    return BusRefused(str(refused))


@contextlib.contextmanager
def _parsing(key: str) -> Iterator[None]:
    """LogUnreadable where what the server keeps under `key` is not what this class writes."""
    try:
        yield
    except (KeyError, ValueError) as error:
        raise LogUnreadable(f"{key} on redis-core holds something else than it should: {error!r}") from error


def _pairs(flat: Iterable[bytes]) -> dict[bytes, Any]:
    """RESP2's flat list of names and values."""
    values = list(flat)
    return dict(zip(values[::2], values[1::2], strict=True))


def _command_entry(entry_id: bytes, fields: list[bytes]) -> CommandEntry:
    """LogUnreadable where the frames are not those that were appended. Releases before wrote no checksum."""
    value = _pairs(fields)
    if b"d" not in value:
        raise LogUnreadable(f"command entry {entry_id.decode()} holds no commands: no release writes such an entry")
    frames: bytes = value[b"d"]
    if b"k" in value and int(value[b"k"]) != crc32(frames):
        raise LogUnreadable(
            f"command entry {entry_id.decode()} does not match its checksum: redis-core's file was damaged"
        )
    return CommandEntry(EntryId.parse(entry_id), frames)


def _event_entry(entry_id: bytes, fields: list[bytes]) -> EventEntry:
    value = _pairs(fields)
    return EventEntry(
        first_seq=int(value[b"f"]),
        last_seq=EntryId.parse(entry_id).ms,
        epoch=int(value[b"e"]),
        prev_chain=value[b"p"].decode("ascii"),
        chain=value[b"h"].decode("ascii"),
        last_cmd=EntryId.parse(value[b"c"]),
        body=value[b"d"],
        rules_version=int(value[b"r"]),
    )
