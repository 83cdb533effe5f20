"""One field of the log damaged, as a flipped byte in redis-core's file would, on a copy of a bus in memory."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import NamedTuple

from apps.streams.bus.base import CommandEntry, EntryId, EventEntry, Trimmed
from apps.streams.bus.memory import MemoryBus

Damage = Callable[[MemoryBus, Random], str]


class Place(NamedTuple):
    """An event entry's field names and how a value of it goes wrong."""

    name: str
    change: Callable[[EventEntry, Random], EventEntry]


def _digit(number: int, random: Random) -> int:
    """One decimal digit of a number is another one, as a flipped bit makes of the text in the file."""
    text = list(str(number))
    at = random.randrange(len(text))
    text[at] = random.choice([digit for digit in "0123456789" if digit != text[at]])
    return int("".join(text))


def _hex(chain: str, random: Random) -> str:
    if not chain:
        return "ab" * 32
    at = random.randrange(len(chain))
    other = random.choice([digit for digit in "0123456789abcdef" if digit != chain[at]])
    return chain[:at] + other + chain[at + 1 :]


def _bits(content: bytes, random: Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 3))):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged) if bytes(damaged) != content else _bits(content, random)


def _id(entry_id: EntryId, random: Random) -> EntryId:
    if random.random() < 0.7:
        return EntryId(_digit(entry_id.ms, random), entry_id.n)
    return EntryId(entry_id.ms, _digit(entry_id.n, random))


EVENT_FIELDS: dict[str, Callable[[EventEntry, Random], EventEntry]] = {
    "first_seq": lambda e, r: replace(e, first_seq=_digit(e.first_seq, r)),
    "last_seq": lambda e, r: replace(e, last_seq=_digit(e.last_seq, r)),
    "epoch": lambda e, r: replace(e, epoch=_digit(e.epoch, r)),
    "prev_chain": lambda e, r: replace(e, prev_chain=_hex(e.prev_chain, r)),
    "chain": lambda e, r: replace(e, chain=_hex(e.chain, r)),
    "last_cmd": lambda e, r: replace(e, last_cmd=_id(e.last_cmd, r)),
    "body": lambda e, r: replace(e, body=_bits(e.body, r)),
    "body cut": lambda e, r: replace(e, body=e.body[: r.randrange(len(e.body))]),
    "rules_version": lambda e, r: replace(e, rules_version=_digit(e.rules_version, r)),
}


def _event_damage(name: str) -> Damage:
    def damage(bus: MemoryBus, random: Random) -> str:
        events = bus._log.events
        at = random.randrange(len(events))
        before = events[at]
        events[at] = EVENT_FIELDS[name](before, random)
        if name == "last_seq":
            _resorted(bus)
        return f"{name} of event entry {before.first_seq}-{before.last_seq} ({at + 1} of {len(events)})"

    return damage


def _resorted(bus: MemoryBus) -> None:
    """redis-core refuses an id that does not grow when it loads: what follows a raised id is not in the stream."""
    kept: list[EventEntry] = []
    for entry in bus._log.events:
        if not kept or entry.last_seq > kept[-1].last_seq:
            kept.append(entry)
    bus._log.events[:] = kept


def _command_id(bus: MemoryBus, random: Random) -> str:
    commands = bus._log.commands
    at = random.randrange(len(commands))
    before = commands[at]
    commands[at] = CommandEntry(_id(before.id, random), before.frames)
    kept: list[CommandEntry] = []
    for entry in commands:
        if not kept or entry.id > kept[-1].id:
            kept.append(entry)
    what = f"id of command entry {before.id} ({at + 1} of {len(commands)}) is {commands[at].id}"
    commands[:] = kept
    bus._log.last_command = kept[-1].id
    return what


def _command_frames(bus: MemoryBus, random: Random) -> str:
    commands = bus._log.commands
    at = random.randrange(len(commands))
    before = commands[at]
    commands[at] = CommandEntry(before.id, _bits(before.frames, random))
    return f"frames of command entry {before.id} ({at + 1} of {len(commands)})"


def _command_gone(bus: MemoryBus, random: Random) -> str:
    gone = bus._log.commands.pop(random.randrange(len(bus._log.commands)))
    return f"command entry {gone.id} is gone"


def _event_gone(bus: MemoryBus, random: Random) -> str:
    gone = bus._log.events.pop(random.randrange(len(bus._log.events)))
    return f"event entry {gone.first_seq}-{gone.last_seq} is gone"


def _bodies_exchanged(bus: MemoryBus, random: Random) -> str:
    events = bus._log.events
    first, second = sorted(random.sample(range(len(events)), 2))
    events[first], events[second] = (
        replace(events[first], body=events[second].body),
        replace(events[second], body=events[first].body),
    )
    return f"bodies of event entries {first + 1} and {second + 1} exchanged"


def _tail_lost(bus: MemoryBus, random: Random) -> str:
    """The last event entries are gone, and the head with them, as in an older copy of the file."""
    events = bus._log.events
    count = random.randint(1, len(events) // 3)
    del events[-count:]
    last = events[-1]
    bus._log.head = replace(bus._log.head, seq=last.last_seq, chain=last.chain, cmd=last.last_cmd)
    return f"the last {count} event entries lost"


def _head_left_behind(bus: MemoryBus, random: Random) -> str:
    """The last entry is there, but the head does not know of it."""
    before = bus._log.events[-2]
    bus._log.head = replace(bus._log.head, seq=before.last_seq, chain=before.chain, cmd=before.last_cmd)
    return "the head stands one entry before the end"


def _head_seq(bus: MemoryBus, random: Random) -> str:
    bus._log.head = replace(bus._log.head, seq=_digit(bus._log.head.seq, random))
    return f"seq of the head is {bus._log.head.seq}"


def _head_chain(bus: MemoryBus, random: Random) -> str:
    bus._log.head = replace(bus._log.head, chain=_hex(bus._log.head.chain, random))
    return "chain of the head"


def _head_cmd(bus: MemoryBus, random: Random) -> str:
    bus._log.head = replace(bus._log.head, cmd=_id(bus._log.head.cmd, random))
    return f"command of the head is {bus._log.head.cmd}"


def _trimmed_cmd(bus: MemoryBus, random: Random) -> str:
    bus._log.trimmed = Trimmed(_id(bus._log.trimmed.cmd, random), bus._log.trimmed.seq)
    return f"trimmed is {bus._log.trimmed}"


def _trimmed_seq(bus: MemoryBus, random: Random) -> str:
    bus._log.trimmed = Trimmed(bus._log.trimmed.cmd, _digit(bus._log.trimmed.seq, random))
    return f"trimmed is {bus._log.trimmed}"


def _skip(bus: MemoryBus, random: Random) -> str:
    entry = random.choice(bus._log.commands)
    bus._log.skips[f"{entry.id}-0"] = "INTERNAL"
    return f"a skip of {entry.id}-0"


DAMAGES: dict[str, Damage] = {
    **{f"event {name}": _event_damage(name) for name in EVENT_FIELDS},
    "event gone": _event_gone,
    "event bodies exchanged": _bodies_exchanged,
    "event tail lost": _tail_lost,
    "command id": _command_id,
    "command frames": _command_frames,
    "command gone": _command_gone,
    "head left behind": _head_left_behind,
    "head seq": _head_seq,
    "head chain": _head_chain,
    "head cmd": _head_cmd,
    "trimmed cmd": _trimmed_cmd,
    "trimmed seq": _trimmed_seq,
    "skip": _skip,
}
