"""The two streams as records, with every promise about the streams themselves: gapless, chained, epochs never fall.

The chain is computed here from its definition (architecture.md section 3): h = blake2b-256 over the previous chain
value in hex, first and last seq as 8 bytes little-endian each, and the bytes of the events.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from apps.streams.records import COMMANDS, EVENT_SIZE, EVENTS, FRAME_SIZE
from tests.chaos.follower import RawLog

PLACE, CANCEL, CANCEL_ALL, AMEND, REPLACE, PLACE_LIST = 2, 3, 4, 5, 6, 7
ACCEPTED, REJECTED, DUPLICATE, TRADE, RESTED, CLOSED, CANCEL_REJECTED, ALL_CANCELED, MONEY_MOVED, SKIPPED = (
    1, 2, 3, 4, 5, 6, 7, 8, 10, 30
)  # fmt: skip
REFILLED, TRIGGERED, AMENDED, LIST_CHANGED, AMEND_REJECTED, LIST_REJECTED, LIST_DUPLICATE = 40, 41, 42, 44, 49, 50, 51
STARTED = 1  # the status of a LIST_CHANGED that answers the list's command
# What ends a command of each kind; each command has exactly one of them.
ENDINGS = {
    PLACE: {ACCEPTED, REJECTED, DUPLICATE, SKIPPED},
    CANCEL: {CLOSED, CANCEL_REJECTED, SKIPPED},
    CANCEL_ALL: {ALL_CANCELED, SKIPPED},
    AMEND: {AMENDED, AMEND_REJECTED, SKIPPED},
    # The new order's; where the cancel failed and the mode is STOP_ON_FAILURE, CANCEL_REJECTED stands for it.
    REPLACE: {ACCEPTED, REJECTED, DUPLICATE, SKIPPED},
    PLACE_LIST: {LIST_CHANGED, LIST_REJECTED, LIST_DUPLICATE, SKIPPED},
}
STALE_SETTINGS, BY_USER = 9, 24


class CommandId(NamedTuple):
    ms: int
    n: int
    index: int


@dataclass(slots=True)
class Log:
    """`commands` hold their record, `placing` the new orders of those that have any; `events` are records in the order
    of seq; `by_command` the events of each.
    """

    commands: dict[CommandId, Any] = field(default_factory=dict)
    placing: dict[CommandId, list[Any]] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    by_command: dict[CommandId, list[int]] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)
    chain: str = ""

    def of(self, kind: int) -> list[Any]:
        return [event for event, found in zip(self.events, self.kinds, strict=True) if found == kind]

    def answers(self, command: CommandId) -> list[tuple[int, Any]]:
        """(kind, event) of all events that the command caused."""
        return [(self.kinds[place], self.events[place]) for place in self.by_command.get(command, [])]


def entry_id(raw: bytes) -> tuple[int, int]:
    ms, _, n = raw.partition(b"-")
    return int(ms), int(n)


def read(raw: RawLog) -> tuple[Log, list[str]]:
    """The log as records and what is wrong with it."""
    log, found = Log(), []
    for name, fields in raw.commands:
        ms, n = entry_id(name)
        frames, offset, index = fields[b"d"], 0, 0
        while offset < len(frames):
            kind, parts = frames[offset + 1], frames[offset + 2]
            command_id = CommandId(ms, n, index)
            log.commands[command_id] = _record(COMMANDS[kind], frames, offset)  # type: ignore[index]
            if kind in (PLACE, REPLACE, PLACE_LIST):
                orders = range(
                    offset if kind == PLACE else offset + FRAME_SIZE, offset + parts * FRAME_SIZE, FRAME_SIZE
                )
                log.placing[command_id] = [_record(COMMANDS[PLACE], frames, at) for at in orders]  # type: ignore[index]
            offset += parts * FRAME_SIZE
            index += 1
    seq, epoch, last_command = 0, 0, (0, 0)
    for name, fields in raw.events:
        last_seq, _ = entry_id(name)
        body = fields[b"d"]
        found += _entry_faults(name, fields, seq, log.chain, epoch, last_command)
        for offset in range(0, len(body), EVENT_SIZE):
            event = _record(EVENTS[body[offset + 1]], body, offset)  # type: ignore[index]
            seq += 1
            if event.seq != seq:
                found.append(f"event {seq} calls itself {event.seq}")
            command = CommandId(event.cmd_ms, event.cmd_n, event.cmd_index)
            if not last_command < command[:2] <= entry_id(fields[b"c"]):
                found.append(f"event {seq} is of command {command}, outside the commands of its entry")
            log.by_command.setdefault(command, []).append(len(log.events))
            log.events.append(event)
            log.kinds.append(body[offset + 1])
        seq, epoch, last_command = last_seq, int(fields[b"e"]), entry_id(fields[b"c"])
        log.chain = fields[b"h"].decode()
        log.epochs.append(epoch)
    return log, found


def _entry_faults(
    name: bytes, fields: dict[bytes, bytes], seq: int, chain: str, epoch: int, last_command: tuple[int, int]
) -> list[str]:
    """What is wrong between this entry and the one before it, which ended at (seq, chain, epoch, last_command)."""
    last, body, where = entry_id(name)[0], fields[b"d"], f"event entry {name.decode()}"
    found = []
    if int(fields[b"f"]) != seq + 1 or len(body) != (last - seq) * EVENT_SIZE:
        found.append(f"{where} begins at {fields[b'f'].decode()} with {len(body)} bytes; the one before ended at {seq}")
    digest = blake2b(chain.encode("ascii"), digest_size=32)
    digest.update(int(fields[b"f"]).to_bytes(8, "little") + last.to_bytes(8, "little") + body)
    if fields[b"p"].decode() != chain or fields[b"h"].decode() != digest.hexdigest():
        found.append(f"{where} does not continue the chain of the entry before it")
    if int(fields[b"e"]) < epoch:
        found.append(f"{where} was written by epoch {fields[b'e'].decode()} after epoch {epoch}")
    if entry_id(fields[b"c"]) <= last_command:
        found.append(f"{where} ends at command {fields[b'c'].decode()}, the one before it ended at {last_command}")
    return found


def ending_faults(log: Log) -> list[str]:
    """Every order, cancel and cancel-all in the command stream was answered exactly once (invariant-I9)."""
    found = []
    for command_id, command in log.commands.items():
        endings = ENDINGS.get(int(command.KIND))
        if endings is None:
            continue
        answers = [
            kind for kind, event in log.answers(command_id) if kind in endings and _is_answer(command, kind, event)
        ]
        if not answers and int(command.KIND) == REPLACE:
            answers = [kind for kind, _ in log.answers(command_id) if kind == CANCEL_REJECTED]
        if len(answers) != 1:
            found.append(f"command {command_id} ({command.KIND.name}) was answered {len(answers)} times")
    unknown = [str(command) for command in log.by_command if command not in log.commands]
    return found + [f"events of command {name}, which is not in the log" for name in unknown]


def is_canceled_by(command: Any, closed: Any) -> bool:
    """Whether an ORDER_CLOSED is what a cancel (of a cancel-replace too) asked for.

    Others may stand beside it: orders whose time was over before the command, the rest of a list that ends with it.
    """
    named = closed.order_id == command.order_id if command.order_id else closed.client_id == command.client_id
    return bool(named and closed.account_id == command.account_id and closed.reason == BY_USER)


def _is_answer(command: Any, kind: int, event: Any) -> bool:
    """Not what happened beside it: other lists that go on."""
    if kind == CLOSED:
        return is_canceled_by(command, event)
    return kind != LIST_CHANGED or event.status == STARTED


def id_faults(log: Log) -> list[str]:
    """Order ids dense per shard, trade ids dense per market, in the order of the log."""
    found = []
    expected = 1
    for event in log.of(ACCEPTED):
        if event.order_id != expected:
            found.append(f"event {event.seq} accepts order {event.order_id}, the next id is {expected}")
        expected = event.order_id + 1
    trades: dict[int, int] = {}
    for event in log.of(TRADE):
        if event.trade_id != trades.get(event.market_id, 0) + 1:
            found.append(f"event {event.seq} is trade {event.trade_id} after {trades.get(event.market_id, 0)}")
        trades[event.market_id] = event.trade_id
    return found


def vanished(seen: RawLog, now: RawLog, trimmed_cmd: bytes, trimmed_seq: bytes) -> list[str]:
    """Entries that a reader saw and that are gone, changed or new in between; what was trimmed may be gone."""
    found = []
    for what, before, after, kept_from in (
        ("command", seen.commands, now.commands, entry_id(trimmed_cmd)),
        ("event", seen.events, now.events, (int(trimmed_seq), 0)),
    ):
        held = dict(after)
        for name, fields in before:
            if name not in held and entry_id(name) > kept_from:
                found.append(f"{what} entry {name.decode()} was readable and is gone, though never trimmed")
            elif name in held and held[name] != fields:
                found.append(f"{what} entry {name.decode()} has other content than when it was first read")
        known = {name for name, _ in before}
        newest = entry_id(before[-1][0]) if before else (0, 0)
        found += [
            f"{what} entry {name.decode()} appeared between older ones"
            for name in held
            if name not in known and entry_id(name) < newest
        ]
    return found


def _record(layout: Any, data: bytes, offset: int) -> Any:
    values = list(layout.struct.unpack_from(data, offset)[2:])
    for position, code in enumerate(layout.codes):
        if code.endswith("s"):
            values[position] = values[position].rstrip(b"\0").decode("ascii")
    return layout.record(**dict(zip(layout.names, values, strict=True)))
