"""Tables of a snapshot body: THE layout that every engine reads and writes, and how rows become bytes.

Layout
    8 bytes magic, then for each table of TABLES in order: u32 number of rows, then the rows. Little-endian, fixed
    width, zero-padded text; every table is sorted by its first columns as TABLES says.

Versions
    Every body begins with its rules version, in the same place. A table has stood in the body since the version that it
    names; a body of an older one is read without it. So a new release starts from the state of the one before.
"""

from struct import Struct
from typing import Any, Final, NamedTuple

from apps.matching.engine.client_ids import KEY_SIZE, RECORD
from apps.matching.engine.errors import SnapshotError

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]  # of all tables, by name

MAGIC: Final = b"NBPTsnap"
OLDEST_READABLE: Final = 1
COUNT: Final = Struct("<I")
_VERSION: Final = Struct("<II")  # the head table's count, which is 1, then its first column


class Table(NamedTuple):
    """`columns` are (name, struct code); `order` says how the rows are sorted; `since` is a rules version."""

    name: str
    order: str
    columns: tuple[tuple[str, str], ...]
    since: int = OLDEST_READABLE

    @property
    def row(self) -> Struct:
        return Struct("<" + "".join(code for _, code in self.columns))


TABLES: Final = (
    Table("head", "one row", (
        ("rules_version", "I"), ("seq", "Q"), ("now_ms", "Q"), ("last_order_id", "Q"), ("closed_ids_kept", "I"),
    )),
    Table("relays", "source", (("source", "H"), ("relay_seq", "Q"))),
    Table("assets", "asset_id", (
        ("asset_id", "I"), ("code", "16s"), ("external_units", "q"), ("fee_units", "q"),
    )),
    Table("markets", "market_id", (
        ("market_id", "I"), ("symbol", "20s"), ("base_asset_id", "I"), ("quote_asset_id", "I"),
        ("settings_version", "I"), ("tick_size", "q"), ("lot_size", "q"), ("initial_price_ticks", "q"),
        ("min_price_ticks", "q"), ("max_price_ticks", "q"), ("min_lots", "q"), ("max_lots", "q"),
        ("market_max_lots", "q"), ("min_notional_units", "q"), ("max_notional_units", "q"),
        ("bid_down_bp", "I"), ("bid_up_bp", "I"), ("ask_down_bp", "I"), ("ask_up_bp", "I"), ("max_open_orders", "I"),
        ("state", "B"), ("cause", "B"), ("last_price_ticks", "q"), ("last_trade_id", "Q"), ("last_agg_id", "Q"),
        ("last_prevented_id", "Q"),
    )),
    Table("fees", "market_id, tier", (("market_id", "I"), ("tier", "H"), ("maker_ppm", "i"), ("taker_ppm", "i"))),
    Table("accounts", "account_id", (("account_id", "Q"), ("family_id", "Q"), ("fee_tier", "H"))),
    Table("balances", "account_id, asset_id", (
        ("account_id", "Q"), ("asset_id", "I"), ("available_units", "q"), ("held_units", "q"),
    )),
    Table("holds", "key", (("key", "64s"), ("account_id", "Q"), ("asset_id", "I"), ("amount_units", "q"))),
    Table("orders", "order_id", (
        ("order_id", "Q"), ("account_id", "Q"), ("market_id", "I"), ("side", "B"), ("kind", "B"),
        ("time_in_force", "B"), ("stp_mode", "B"), ("price_ticks", "q"), ("quantity_lots", "q"), ("left_lots", "q"),
        ("filled_lots", "q"), ("filled_quote_units", "q"), ("priority", "Q"), ("client_id", "36s"),
        ("id_key", f"{KEY_SIZE}s"), ("fingerprint", "I"),
    )),
    Table("closed_ids", "oldest first", (("record", f"{RECORD.size}s"),)),
    Table("skips", "market_id, 0 is none", (("market_id", "I"), ("count", "I")), since=2),
    Table("expiries", "order_id", (("order_id", "Q"), ("expires_ms", "q"), ("accepted_seq", "Q")), since=3),
    Table("icebergs", "order_id", (("order_id", "Q"), ("display_lots", "q"), ("reserve_lots", "q")), since=3),
    Table("prevented", "order_id", (("order_id", "Q"), ("lots", "q")), since=3),
    Table("amended", "order_id", (("order_id", "Q"), ("placed_lots", "q")), since=3),
    Table("cancel_timers", "account_id", (("account_id", "Q"), ("due_ms", "Q"), ("seq", "Q")), since=3),
    Table("parked", "order_id", (("order_id", "Q"), ("due_ms", "Q"), ("seq", "Q")), since=3),
    Table("entry_rules", "market_id", (
        ("market_id", "I"), ("park_outside_band", "B"), ("park_expiry_s", "I"), ("max_iceberg_orders", "I"),
    ), since=3),
    Table("allocations", "account_id, rule_id", (("account_id", "Q"), ("rule_id", "I"), ("method", "B")), since=3),
    Table("allocated_accounts", "account_id, rule_id, place in the rule", (
        ("account_id", "Q"), ("rule_id", "I"), ("sub_account_id", "Q"), ("weight_bp", "I"),
    ), since=3),
    Table("blocks", "order_id", (("order_id", "Q"), ("rule_id", "I"), ("requested_crc", "I")), since=3),
    Table("shares", "order_id, place in the rule", (
        ("order_id", "Q"), ("account_id", "Q"), ("final_lots", "q"), ("allocated_lots", "q"),
    ), since=3),
    Table("conditional_rules", "market_id", (
        ("market_id", "I"), ("max_conditional_orders", "I"), ("conditional_buffer_bp", "I"),
    ), since=3),
    Table("triggers", "order_id", (("order_id", "Q"), ("stop_price_ticks", "q"), ("trailing_bips", "I")), since=3),
    Table("waiting", "order_id", (
        ("order_id", "Q"), ("waiting", "B"), ("accepted_seq", "Q"), ("queued_seq", "Q"), ("best_ticks", "q"),
        ("hold_units", "q"),
    ), since=3),
    Table("halt_rules", "market_id", (("market_id", "I"), ("breaker_min_notional_units", "q")), since=3),
    Table("breakers", "market_id, rule_id", (
        ("market_id", "I"), ("rule_id", "H"), ("measure", "B"), ("bp", "I"), ("window_ms", "I"), ("halt_s", "H"),
    ), since=3),
    Table("breaker_befores", "market_id, rule_id", (("market_id", "I"), ("rule_id", "H"), ("ticks", "q")), since=3),
    Table("breaker_buckets", "market_id, rule_id, bucket", (
        ("market_id", "I"), ("rule_id", "H"), ("bucket", "Q"), ("low_ticks", "q"), ("high_ticks", "q"),
        ("last_ticks", "q"), ("value_high", "Q"), ("value_low", "Q"), ("lots", "Q"),
    ), since=3),
    Table("breaker_halts", "market_id, begun_ms", (("market_id", "I"), ("begun_ms", "Q")), since=3),
    Table("market_timers", "market_id", (
        ("market_id", "I"), ("until_ms", "Q"), ("reopens_ms", "Q"), ("rule_id", "H"), ("seq", "Q"),
    ), since=3),
    Table("order_lists", "list_id", (
        ("list_id", "Q"), ("account_id", "Q"), ("market_id", "I"), ("kind", "B"), ("stage", "B"), ("client_id", "36s"),
        ("id_key", f"{KEY_SIZE}s"), ("fingerprint", "I"), ("order_id_1", "Q"), ("order_id_2", "Q"), ("order_id_3", "Q"),
    ), since=3),
    Table("list_rules", "market_id", (("market_id", "I"), ("max_order_lists", "I")), since=3),
    Table("auction_rules", "market_id", (
        ("market_id", "I"), ("call_s", "I"), ("collar_bp", "I"), ("max_extensions", "I"),
    ), since=3),
    Table("halt_distances", "market_id", (
        ("market_id", "I"), ("up_ticks", "q"), ("down_ticks", "q"), ("up_rule_id", "H"), ("down_rule_id", "H"),
        ("told_ms", "Q"),
    ), since=3),
    Table("asset_classes", "asset_id", (("asset_id", "I"), ("asset_class", "16s")), since=3),
    Table("auctions", "market_id", (
        ("market_id", "I"), ("extensions", "I"), ("auction_ticks", "q"), ("auction_lots", "q"),
    ), since=3),
    Table("amend_rules", "market_id", (("market_id", "I"), ("max_order_amends", "I")), since=6),
    Table("amends", "order_id", (("order_id", "Q"), ("count", "I")), since=6),
)  # fmt: skip


def version_of(body: bytes) -> int:
    """Rules version that a body says it is of; SnapshotError where it is no body."""
    if body[: len(MAGIC)] != MAGIC or len(body) < len(MAGIC) + _VERSION.size:
        raise SnapshotError("not a snapshot body")
    head_rows, version = _VERSION.unpack_from(body, len(MAGIC))
    if head_rows != 1:
        raise SnapshotError("a snapshot has one head row")
    return int(version)


def read_tables(body: bytes, version: int) -> Rows:
    """Rows by table name; none of a table that the version did not have."""
    tables: Rows = {}
    offset = len(MAGIC)
    for table in TABLES:
        if table.since > version:
            tables[table.name] = []
            continue
        row = table.row
        end = offset + COUNT.size
        if end > len(body):
            raise SnapshotError(f"the body ends before table {table.name}")
        (count,) = COUNT.unpack_from(body, offset)
        offset, end = end, end + count * row.size
        if end > len(body):
            raise SnapshotError(f"the body ends within table {table.name}")
        tables[table.name] = list(row.iter_unpack(memoryview(body)[offset:end]))
        offset = end
    if offset != len(body):
        raise SnapshotError(f"{len(body) - offset} bytes follow the last table")
    return tables
