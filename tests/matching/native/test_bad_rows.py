"""Rows that no state can have: both engines refuse the body, whichever column holds what it cannot."""

from typing import Any

import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.matching.engine import SnapshotError
from apps.matching.engine.snapshot_tables import COUNT, MAGIC, TABLES, read_tables
from apps.matching.native.engine import Engine as NativeEngine
from tests.oracle.streams import CLOSED_IDS_KEPT, History

BAD: tuple[tuple[str, str, Any], ...] = (
    ("head", "now_ms", 2**62), ("head", "closed_ids_kept", 2**30), ("assets", "fee_units", -1),
    ("assets", "external_units", -1), ("assets", "external_units", 2**62), ("asset_classes", "asset_class", b"\0x"),
    ("asset_classes", "asset_class", b"\xff"), ("markets", "state", 0), ("markets", "cause", 200),
    ("markets", "last_price_ticks", -1), ("markets", "symbol", b"\xff"), ("markets", "tick_size", 0),
    ("markets", "max_lots", 0), ("markets", "min_price_ticks", 0), ("accounts", "fee_tier", 16),
    ("balances", "available_units", -1), ("balances", "held_units", 2**62), ("holds", "amount_units", 0),
    ("holds", "key", b"a\0b"), ("holds", "account_id", 77_777), ("orders", "side", 2), ("orders", "kind", 200),
    ("orders", "time_in_force", 99), ("orders", "stp_mode", 77), ("orders", "quantity_lots", 0),
    ("orders", "quantity_lots", 2**61), ("orders", "left_lots", 0), ("orders", "price_ticks", -1),
    ("orders", "price_ticks", 2**61), ("orders", "filled_lots", -1), ("orders", "filled_lots", 2**40),
    ("orders", "client_id", b"\xff"), ("orders", "id_key", b"x" * 16), ("orders", "fingerprint", 1),
    ("orders", "order_id", 2**63), ("icebergs", "display_lots", 0), ("icebergs", "reserve_lots", -1),
    ("expiries", "expires_ms", 0), ("prevented", "lots", 0), ("amended", "placed_lots", 0), ("amends", "count", 0),
    ("amends", "count", 2**20), ("amends", "count", 2**31 + 1), ("parked", "due_ms", 0), ("parked", "seq", 0),
    ("triggers", "trailing_bips", 10_000), ("triggers", "stop_price_ticks", -1),
    ("waiting", "accepted_seq", 0), ("waiting", "best_ticks", -1), ("waiting", "hold_units", -1),
    ("waiting", "waiting", 9), ("shares", "final_lots", 0), ("shares", "allocated_lots", -1),
    ("order_lists", "client_id", b"\xff"), ("order_lists", "id_key", b"x" * 16), ("order_lists", "stage", 4),
)  # fmt: skip
COLUMNS = {table.name: [name for name, _ in table.columns] for table in TABLES}
CLIENT_ID = {name: columns.index("client_id") for name, columns in COLUMNS.items() if "client_id" in columns}


@pytest.fixture(scope="module")
def bodies() -> dict[str, bytes]:
    """For each table a body that has rows of it; where they have a client id, one with it."""
    found: dict[str, bytes] = {}
    for seed in range(40):
        history, engine = History(seed), PlainEngine(CLOSED_IDS_KEPT)
        for number in range(1_000):
            frames, _ = history.next()
            history.hear(engine.process(frames))
            if number % 50 != 49:
                continue
            body = engine.snapshot()
            for name, rows in read_tables(body, PlainEngine.RULES_VERSION).items():
                if any(name not in CLIENT_ID or row[CLIENT_ID[name]].strip(b"\0") for row in rows):
                    found.setdefault(name, body)
        if not {name for name, _, _ in BAD} - found.keys():
            return found
    raise AssertionError(f"no rows of { ({name for name, _, _ in BAD} - found.keys()) }")


def with_value(body: bytes, table_name: str, column: str, value: Any) -> bytes:
    """The body with this value in the first row, in the first that has a client id where rows have one."""
    tables = read_tables(body, PlainEngine.RULES_VERSION)
    rows = tables[table_name]
    at = next(i for i, row in enumerate(rows) if table_name not in CLIENT_ID or row[CLIENT_ID[table_name]].strip(b"\0"))
    row = list(rows[at])
    row[COLUMNS[table_name].index(column)] = value
    rows[at] = tuple(row)
    whole = bytearray(MAGIC)
    for table in TABLES:
        whole += COUNT.pack(len(tables[table.name])) + b"".join(table.row.pack(*row) for row in tables[table.name])
    return bytes(whole)


def test_the_bodies_themselves_are_taken(bodies: dict[str, bytes]) -> None:
    for body in bodies.values():
        assert PlainEngine.restore(body).snapshot() == NativeEngine.restore(body).snapshot() == body


@pytest.mark.parametrize(("table_name", "column", "value"), BAD)
def test_both_refuse_it(bodies: dict[str, bytes], table_name: str, column: str, value: Any) -> None:
    body = with_value(bodies[table_name], table_name, column, value)
    for engine_class in (PlainEngine, NativeEngine):
        with pytest.raises(SnapshotError):
            engine_class.restore(body)
