"""Records to bytes and back, for producers and readers that are not the engine's hot path."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from typing import Any, Final

import msgspec

from apps.streams.commands import (
    Command,
    PlaceBlock,
    PlaceList,
    PlaceOrder,
    ReplaceOrder,
    SetAllocation,
    SetAsset,
    SetMarket,
    Strategy,
)
from apps.streams.events import Event
from apps.streams.kinds import CommandKind
from apps.streams.messages import AllocationSettings, AssetSettings, MarketSettings, body_of
from apps.streams.records import (
    COMMAND_HEADER,
    COMMAND_VERSION,
    COMMANDS,
    CONTROL_HEAD_SIZE,
    EVENT_SIZE,
    EVENT_VERSION,
    EVENTS,
    FRAME_SIZE,
    MAX_PARTS,
    STRATEGY,
    FrameError,
    Layout,
)

Settings = AssetSettings | MarketSettings | AllocationSettings
SETTINGS_BODIES: Final = {
    CommandKind.SET_ASSET: AssetSettings,
    CommandKind.SET_MARKET: MarketSettings,
    CommandKind.SET_ALLOCATION: AllocationSettings,
}


_put_strategy: Final = PlaceOrder.__dict__["strategy"].__set__  # a slot has it although the class is frozen


def _pack(layout: Layout, version: int, record: Any) -> bytes:
    values = layout.values_of(record)
    if layout.texts:
        values = list(values)
        for position, size in layout.texts:
            text = values[position]
            if not text.isascii() or len(text) > size:
                raise FrameError(f"{layout.names[position]} must be at most {size} ASCII characters")
            values[position] = text.encode("ascii")
    return layout.struct.pack(version, layout.kind, *values)


def _unpack(layout: Layout, data: bytes | memoryview, offset: int) -> Any:
    """Past the record's __init__: of a frozen dataclass that takes as long as everything else together."""
    values = layout.struct.unpack_from(data, offset)[2:]
    record = object.__new__(layout.record)
    for put, value in zip(layout.puts, values, strict=True):
        put(record, value)
    for position, _ in layout.texts:
        layout.puts[position](record, values[position].rstrip(b"\0").decode("ascii"))
    return record


def encode_command(command: Command) -> bytes:
    """One 128-byte frame, two of an order with a strategy. Runs with a head have functions of their own."""
    if isinstance(command, PlaceOrder) and command.strategy is not None:
        return _with_strategy(command, command.strategy)
    return _pack(COMMANDS[command.KIND], COMMAND_VERSION, command)


def _with_strategy(order: PlaceOrder, strategy: Strategy) -> bytes:
    first = _pack(COMMANDS[order.KIND], COMMAND_VERSION, replace(order, parts=2))
    return (first + STRATEGY.pack(*astuple(strategy))).ljust(2 * FRAME_SIZE, b"\0")


def _behind(head: Command, rest: bytes) -> bytes:
    """The run of a head and whole frames behind it; FrameError for more of them than a run holds."""
    parts = 1 + len(rest) // FRAME_SIZE
    if parts > MAX_PARTS:
        raise FrameError(f"the command needs {parts} frames, at most {MAX_PARTS} are allowed")
    return encode_command(replace(head, parts=parts)) + rest


def encode_replace(head: ReplaceOrder, order: PlaceOrder) -> bytes:
    """Frame run of a cancel-replace."""
    return _behind(head, encode_command(order))


def encode_list(head: PlaceList, orders: Sequence[PlaceOrder]) -> bytes:
    """Frame run of an order list."""
    return _behind(head, b"".join(map(encode_command, orders)))


def encode_block(head: PlaceBlock, order: PlaceOrder, requested_lots: Sequence[int] = ()) -> bytes:
    """Frame run of a block order; FrameError for more requested lots than a run holds."""
    lots = struct.pack(f"<{len(requested_lots)}q", *requested_lots)
    frames = -(-len(lots) // FRAME_SIZE)
    head = replace(head, requested_count=len(requested_lots))
    return _behind(head, encode_command(order) + lots.ljust(frames * FRAME_SIZE, b"\0"))


def encode_set_asset(settings: AssetSettings, *, relay_seq: int, source: int) -> bytes:
    """Frame run of a SetAsset command."""
    return _encode_control(SetAsset, settings, relay_seq=relay_seq, source=source)


def encode_set_market(settings: MarketSettings, *, relay_seq: int, source: int) -> bytes:
    """Frame run of a SetMarket command."""
    return _encode_control(SetMarket, settings, market_id=settings.market_id, relay_seq=relay_seq, source=source)


def encode_set_allocation(settings: AllocationSettings, *, relay_seq: int, source: int) -> bytes:
    """Frame run of a SetAllocation command."""
    return _encode_control(SetAllocation, settings, account_id=settings.account_id, relay_seq=relay_seq, source=source)


def _encode_control(
    record: type[SetAsset] | type[SetMarket] | type[SetAllocation],
    settings: msgspec.Struct,
    *,
    market_id: int = 0,
    account_id: int = 0,
    relay_seq: int,
    source: int,
) -> bytes:
    body = body_of(settings)
    parts = -(-(CONTROL_HEAD_SIZE + len(body)) // FRAME_SIZE)
    if parts > MAX_PARTS:
        raise FrameError(f"settings need {parts} frames, at most {MAX_PARTS} are allowed")
    head = encode_command(
        record(
            parts=parts,
            market_id=market_id,
            account_id=account_id,
            relay_seq=relay_seq,
            source=source,
            body_length=len(body),
        )
    )
    return (head[:CONTROL_HEAD_SIZE] + body).ljust(parts * FRAME_SIZE, b"\0")


def decode_settings(run: bytes | memoryview) -> Settings:
    """Body of a settings command's whole frame run; FrameError where it is not one."""
    head = decode_command(run)
    if head.KIND not in SETTINGS_BODIES:
        raise FrameError(f"{head.KIND.name} has no settings body")
    body = bytes(run[CONTROL_HEAD_SIZE : CONTROL_HEAD_SIZE + head.body_length])
    try:
        return msgspec.msgpack.decode(body, type=SETTINGS_BODIES[head.KIND])  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(f"settings body: {error}") from error


def decode_command(run: bytes | memoryview, offset: int = 0) -> Any:
    """The record of the command whose first frame starts at `offset`."""
    version, kind = run[offset], run[offset + 1]
    layout = COMMANDS.get(kind)  # type: ignore[call-overload]
    if version != COMMAND_VERSION or layout is None:
        raise FrameError(f"unknown command version {version}, kind {kind}")
    command = _unpack(layout, run, offset)
    if kind == CommandKind.PLACE_ORDER:
        _put_strategy(command, _strategy(run, offset) if run[offset + 2] == 2 else None)
    return command


def _strategy(run: bytes | memoryview, offset: int) -> Strategy:
    """Of the order whose first frame starts at `offset`."""
    if len(run) < offset + 2 * FRAME_SIZE:
        raise FrameError(f"the order at byte {offset} has no second frame")
    strategy_id, strategy_type, given = STRATEGY.unpack_from(run, offset + FRAME_SIZE)
    return Strategy(strategy_id=strategy_id, strategy_type=strategy_type, given=given)


def iter_runs(frames: bytes | bytearray | memoryview) -> Iterator[tuple[int, int]]:
    """(offset, length) of each whole frame run, checked: framing, version, kind. FrameError otherwise."""
    if len(frames) % FRAME_SIZE:
        raise FrameError(f"{len(frames)} bytes are not whole {FRAME_SIZE}-byte frames")
    offset = 0
    while offset < len(frames):
        version, kind, parts = frames[offset], frames[offset + 1], frames[offset + 2]
        if version != COMMAND_VERSION or kind not in COMMANDS:
            raise FrameError(f"unknown command version {version}, kind {kind}")
        length = parts * FRAME_SIZE
        if not 1 <= parts <= MAX_PARTS or offset + length > len(frames):
            raise FrameError(f"a run of {parts} frames at byte {offset} does not fit")
        yield offset, length
        offset += length


def stamp(frames: bytearray, entry_ms: int, entry_n: int, first_index: int = 0) -> int:
    """Write the command id into each run's header, in place; returns the number of commands."""
    index = first_index
    for offset, _ in iter_runs(frames):
        version, kind, parts, flags, market_id, account_id, *_unstamped = COMMAND_HEADER.unpack_from(frames, offset)
        COMMAND_HEADER.pack_into(
            frames, offset, version, kind, parts, flags, market_id, account_id, entry_ms, entry_n, index
        )
        index += 1
    return index - first_index


def encode_event(event: Event) -> bytes:
    """One 192-byte record."""
    return _pack(EVENTS[event.KIND], EVENT_VERSION, event)


def decode_event(data: bytes | memoryview, offset: int = 0) -> Any:
    """The event record at `offset`; FrameError for an unknown kind or version."""
    version, kind = data[offset], data[offset + 1]
    layout = EVENTS.get(kind)  # type: ignore[call-overload]
    if version != EVENT_VERSION or layout is None:
        raise FrameError(f"unknown event version {version}, kind {kind}")
    return _unpack(layout, data, offset)


def decode_events(data: bytes | memoryview) -> list[Any]:
    """All event records of one entry's body, in order."""
    if len(data) % EVENT_SIZE:
        raise FrameError(f"{len(data)} bytes are not whole {EVENT_SIZE}-byte events")
    return [decode_event(data, offset) for offset in range(0, len(data), EVENT_SIZE)]
