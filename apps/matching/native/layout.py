"""layout.h: the contract of apps/streams and the constants of the plain engine, as C (written at build time).

Everything that both engines must agree on stands once, in Python: record fields and their order, kinds, reasons, rows
of snapshot tables, limits, the table of market states. Nothing of it is copied into C by hand.

Layout of the header
    Each IntEnum and IntFlag of kinds.py: `CLASS_MEMBER`, as ORDER_KIND_LIMIT. Each record: a packed struct of its
    bytes, `PlaceOrderFrame`, `TradeEvent`. Each snapshot table: `OrdersRow` and TABLE_ORDERS. Constants have their own
    names.
"""

import enum
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final, get_type_hints

from apps.common import amounts
from apps.matching.engine import (
    breaker_window,
    cancel,
    cancel_timer,
    client_ids,
    distance,
    engine,
    halt,
    iceberg,
    order_kinds,
    order_list,
    phases,
    poison,
    snapshot_tables,
    states,
    stop_order,
    strategy,
    terms,
    timers,
)
from apps.streams import kinds, messages, records

_C_TYPES: Final = {
    "B": "uint8_t", "H": "uint16_t", "I": "uint32_t", "Q": "uint64_t", "b": "int8_t", "h": "int16_t", "i": "int32_t",
    "q": "int64_t",
}  # fmt: skip
_NUMBERED: Final = (enum.IntEnum, enum.IntFlag)
_CRC_POLYNOMIAL: Final = 0xEDB88320
_CRC_ZEROS: Final = 36  # bytes of a fingerprint's parameters that a plain order has none of


def header() -> str:
    """The whole text; the same for the same sources."""
    lines = [
        "/* Written by apps/matching/native/layout.py. */",
        "#ifndef NEBANNPET_LAYOUT_H",
        "#define NEBANNPET_LAYOUT_H",
        "#include <stdint.h>",
        "#define PACKED __attribute__((packed))",
        *_constants(),
        *_enums(),
        *_order_kinds(),
        *_records(),
        *_snapshot(),
        *_states(),
        *_settings(),
        *_crc_tables(),
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _constants() -> Iterator[str]:
    values = {
        "RULES_VERSION": engine.RULES_VERSION,
        "OLDEST_READABLE": snapshot_tables.OLDEST_READABLE,
        "CLOSED_IDS_KEPT": engine.CLOSED_IDS_KEPT,
        "FRAME_SIZE": records.FRAME_SIZE,
        "MAX_PARTS": records.MAX_PARTS,
        "EVENT_SIZE": records.EVENT_SIZE,
        "COMMAND_VERSION": records.COMMAND_VERSION,
        "EVENT_VERSION": records.EVENT_VERSION,
        "COMMAND_HEADER_SIZE": records.COMMAND_HEADER.size,
        "CONTROL_HEAD_SIZE": records.CONTROL_HEAD_SIZE,
        "AMOUNT_MAX": amounts.AMOUNT_MAX,
        "PPM": amounts.PPM,
        "BASIS_POINTS": amounts.BASIS_POINTS,
        "SCALE": messages.SCALE,
        "MAX_FEE_TIERS": messages.MAX_FEE_TIERS,
        "KEY_SIZE": client_ids.KEY_SIZE,
        "CLIENT_ID_SIZE": len(client_ids.NO_CLIENT_ID),
        "TIMEOUT_MS_MAX": cancel_timer.TIMEOUT_MS_MAX,
        "ICEBERG_PARTS_MAX": iceberg.PARTS_MAX,
        "SKIPS_MAX": poison.SKIPS_MAX,
        "TIMERS_RUN_MAX": timers.RUN_MAX,
        "NEVER": timers.NEVER,
        "CLOSED_IDS_KEPT_MAX": client_ids.CAPACITY_MAX,
        "BREAKER_BUCKETS": breaker_window.BUCKETS,
        "HOUR_MS": halt.HOUR_MS,
        "HALT_LONGER_S": halt.LONGER_S,
        "HALT_S_MIN": messages.HALT_S_MIN,
        "HALT_S_MAX": messages.HALT_S_MAX,
        "WINDOW_MS_MIN": messages.WINDOW_MS_MIN,
        "WINDOW_MS_MAX": messages.WINDOW_MS_MAX,
        "VWAP_PRICE_TICKS_MAX": messages.VWAP_PRICE_TICKS_MAX,
        "VWAP_LOTS_MAX": messages.VWAP_LOTS_MAX,
        "MAX_BREAKER_RULES": messages.MAX_BREAKER_RULES,
        "BODY_BYTES_MAX": messages.BODY_BYTES_MAX,
        "LATE_MS": phases.LATE_MS,
        "CALL_S_MAX": messages.CALL_S_MAX,
        "MAX_EXTENSIONS": messages.MAX_EXTENSIONS,
        "TOLD_EVERY_MS": distance.TOLD_EVERY_MS,
        "TRAILING_BIPS_MIN": stop_order.TRAILING_BIPS_MIN,
        "TRAILING_BIPS_MAX": stop_order.TRAILING_BIPS_MAX,
        "PARK_EXPIRY_S_MAX": messages.PARK_EXPIRY_S_MAX,
        "MAX_ALLOCATION_ACCOUNTS": messages.MAX_ALLOCATION_ACCOUNTS,
        "AMENDS_MAX": terms.AMENDS_MAX,
    }
    for name, value in values.items():
        yield f"#define {name} {value}{'LL' if value >= 2**31 else ''}"


def _enums() -> Iterator[str]:
    for name, kind in vars(kinds).items():
        if isinstance(kind, type) and issubclass(kind, _NUMBERED) and kind.__module__ == kinds.__name__:
            prefix = _upper(name)
            each = ", ".join(f"{prefix}_{member.name} = {int(member)}" for member in kind)
            yield f"enum {{ {each} }};"
    stages = ", ".join(f"LIST_STAGE_{stage.name} = {int(stage)}" for stage in order_list.Stage)
    yield f"enum {{ {stages} }};"
    known: dict[str, type[enum.IntEnum]] = {
        "SOURCES": kinds.Source,
        "COUNTERPARTIES": kinds.Counterparty,
        "STP_MODES": kinds.StpMode,
        "REPLACE_MODES": kinds.ReplaceMode,
        "REVIEWS": kinds.Review,
        "MARKET_STATES": kinds.MarketState,
        "ORDER_KINDS": kinds.OrderKind,
        "TIMES_IN_FORCE": kinds.TimeInForce,
        "HALT_CAUSES": kinds.HaltCause,
        "LIST_KINDS": kinds.ListKind,
        "ALLOCATION_METHODS": kinds.AllocationMethod,
        "BREAKER_MEASURES": kinds.BreakerMeasure,
    }
    for known_name, members in known.items():
        yield _mask(f"KNOWN_{known_name}", [int(member) for member in members])


def _order_kinds() -> Iterator[str]:
    """BECOMES: whose checks an order of that kind passes when it takes its turn, itself where it is no other."""
    becomes = ", ".join(f"[{kind}] = {order_kinds.BECOMES.get(kind, kind)}" for kind in order_kinds.KINDS)
    yield f"static const uint8_t BECOMES[{max(order_kinds.KINDS) + 1}] = {{ {becomes} }};"
    yield _mask("CONDITIONAL_KINDS", kinds.CONDITIONAL_KINDS)
    yield _mask("RESTRICTIONS", cancel.RESTRICTIONS)
    yield _mask("STRATEGY_GIVEN", strategy.GIVEN)


def _mask(name: str, members: Iterable[int]) -> str:
    """A set of small numbers as bits; HAS_BIT of engine.h asks it."""
    bits = sum(1 << int(member) for member in members)
    assert bits < 2**64
    return f"#define {name} {bits}ULL"


def _records() -> Iterator[str]:
    known = [0, 0, 0, 0]
    for kind, layout in records.COMMANDS.items():
        known[kind >> 6] |= 1 << (kind & 63)
        yield from _struct(f"{layout.record.__name__}Frame", _fields(layout), layout.size)
    yield "#define KNOWN_COMMAND_WORDS {" + ", ".join(f"{word}ULL" for word in known) + "}"
    for layout in records.EVENTS.values():
        yield from _struct(f"{layout.record.__name__}Event", _fields(layout), layout.size)
    yield from _struct("StrategyFrame", records.STRATEGY_COLUMNS, records.FRAME_SIZE)
    header = _fields(records.COMMANDS[kinds.CommandKind.TICK])
    yield from _struct("CommandHeader", header, records.COMMAND_HEADER.size)
    money = records.COMMANDS[kinds.CommandKind.CREDIT]
    yield from _struct("MoneyFrame", _fields(money), money.size)
    control = records.COMMANDS[kinds.CommandKind.SET_MARKET]
    yield from _struct("ControlFrame", _fields(control), control.size)
    relay = [field for field in _fields(control) if field[0] != "body_length"]
    yield from _struct("RelayedHead", relay, struct.calcsize("<" + "".join(code for _, code in relay)))
    event_header = _fields(next(iter(records.EVENTS.values())))[:10]
    yield from _struct("EventHeader", event_header, records.EVENT_HEADER.size)


def _fields(layout: records.Layout) -> list[tuple[str, str]]:
    return [("version", "B"), ("kind", "B"), *zip(layout.names, layout.codes, strict=True)]


def _struct(name: str, columns: Iterable[tuple[str, str]], size: int) -> Iterator[str]:
    columns = list(columns)
    packed = struct.calcsize("<" + "".join(code for _, code in columns))
    yield f"typedef struct PACKED {name} {{"
    for column, code in columns:
        if code.endswith("s"):
            yield f"    uint8_t {column}[{code[:-1]}];"
        else:
            yield f"    {_C_TYPES[code]} {column};"
    if packed < size:
        yield f"    uint8_t padding[{size - packed}];"
    yield f"}} {name};"
    yield f'_Static_assert(sizeof({name}) == {size}, "{name}");'


def _snapshot() -> Iterator[str]:
    yield f'#define SNAPSHOT_MAGIC "{snapshot_tables.MAGIC.decode("ascii")}"'
    yield f"#define SNAPSHOT_MAGIC_SIZE {len(snapshot_tables.MAGIC)}"
    yield f"#define TABLE_COUNT {len(snapshot_tables.TABLES)}"
    for number, table in enumerate(snapshot_tables.TABLES):
        yield f"#define TABLE_{table.name.upper()} {number}"
        yield from _struct(f"{_camel(table.name)}Row", table.columns, table.row.size)
    rows = ", ".join(f'{{"{table.name}", {table.row.size}, {table.since}}}' for table in snapshot_tables.TABLES)
    yield "typedef struct SnapshotTable { const char *name; uint32_t row_size; uint32_t since; } SnapshotTable;"
    yield f"static const SnapshotTable SNAPSHOT_TABLES[TABLE_COUNT] = {{ {rows} }};"


def _states() -> Iterator[str]:
    """The table of matching-rules.md section 9, by state."""
    for entry in states.Entry:
        yield f"#define ENTRY_{entry.name} {entry.value}"
    fields = states.Passes._fields
    yield "typedef struct Passes { " + " ".join(f"uint8_t {name};" for name in fields) + " } Passes;"
    rows = []
    for state, row in states.PASSES.items():
        values = [value.value if isinstance(value, enum.Enum) else int(value) for value in row]
        rows.append(f"[{int(state)}] = {{{', '.join(map(str, values))}}}")
    yield f"static const Passes PASSES[{max(states.PASSES) + 1}] = {{ {', '.join(rows)} }};"
    for name in ("STAFF_MAY_SET", "MAY_TRADE", "CAUSES_OF_COMMANDS", "UNCROSSED"):
        yield _mask(name, getattr(states, name))
    stops = ", ".join(f"[{int(cause)}] = {int(state)}" for cause, state in states.WORKERS_STOPS.items())
    yield f"static const uint8_t WORKERS_STOPS[{max(kinds.HaltCause) + 1}] = {{ {stops} }};"


def _settings() -> Iterator[str]:
    """MarketSettings as a C struct, and lists of its fields for the parser (settings.c) and the snapshot.

    MARKET_SETTINGS_NUMBERS and MARKET_SETTINGS_SWITCHES: X(name, text, position in the record, default).
    RULES_TABLES: T(name, table number, row struct, X-list of its columns with their defaults) for each `*_rules` table.
    """
    hints = get_type_hints(messages.MarketSettings)
    encoded = messages.MarketSettings.__struct_encode_fields__
    values = dict(zip(reversed(encoded), reversed(messages.MarketSettings.__struct_defaults__), strict=False))
    yield "typedef struct BreakerRule { uint32_t rule_id, measure, bp, window_ms, halt_s; } BreakerRule;"
    yield "typedef struct MarketSettings {"
    for name in encoded:
        if hints[name] in (int, bool):
            yield f"    int64_t {name};"
    yield "    uint8_t symbol[20];"
    yield "    uint32_t fee_count;"
    yield "    int32_t maker_ppm[MAX_FEE_TIERS];"
    yield "    int32_t taker_ppm[MAX_FEE_TIERS];"
    yield "    uint32_t breaker_count;"
    yield "    BreakerRule breaker_rules[MAX_BREAKER_RULES];"
    yield "} MarketSettings;"
    for position, name in enumerate(encoded):
        yield f"#define SETTING_{name.upper()} {position}"
    yield _mask("MARKET_SETTINGS_REQUIRED", [encoded.index(name) for name in encoded if name not in values])
    for title, kind in (("NUMBERS", int), ("SWITCHES", bool)):
        yield f"#define MARKET_SETTINGS_{title}(X) \\"
        for position, name in enumerate(encoded):
            if hints[name] is kind:
                yield f'    X({name}, "{name}", {position}, {int(values.get(name, 0))}LL) \\'
        yield ""
    rules = [table for table in snapshot_tables.TABLES if table.name.endswith("_rules")]
    for table in rules:
        columns = [name for name, _ in table.columns if name != "market_id"]
        each = " ".join(f"X({name}, {int(values[name])})" for name in columns)
        yield f"#define {table.name.upper()}_COLUMNS(X) {each}"
    each = " ".join(
        f"T({table.name}, TABLE_{table.name.upper()}, {_camel(table.name)}Row, {table.name.upper()}_COLUMNS)"
        for table in rules
    )
    yield f"#define RULES_TABLES(T) {each}"


def _crc_tables() -> Iterator[str]:
    """Eight tables for the CRC-32 of zlib, eight bytes a step."""
    first = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_CRC_POLYNOMIAL if value & 1 else 0)
        first.append(value)
    tables = [first]
    for _ in range(7):
        tables.append([value >> 8 ^ first[value & 255] for value in tables[-1]])
    rows = ",\n".join("{" + ",".join(f"{value}u" for value in table) + "}" for table in tables)
    yield f"static const uint32_t CRC_TABLES[8][256] = {{\n{rows}\n}};"
    # What CRC_ZEROS zero bytes make of a CRC, by each of its four bytes: the step is linear.
    zeros = []
    for shift in (0, 8, 16, 24):
        table = [byte << shift for byte in range(256)]
        for _ in range(_CRC_ZEROS):
            table = [value >> 8 ^ first[value & 255] for value in table]
        zeros.append("{" + ",".join(f"{value}u" for value in table) + "}")
    yield f"#define CRC_ZEROS {_CRC_ZEROS}"
    yield "static const uint32_t CRC_OF_ZEROS[4][256] = {\n" + ",\n".join(zeros) + "\n};"


def _upper(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
