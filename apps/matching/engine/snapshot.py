"""Snapshot body: the whole state as tables of packed rows, the same bytes for the same state.

Layout
    8 bytes magic, then for each table of TABLES in order: u32 number of rows, then the rows. Little-endian, fixed
    width, zero-padded text; every table is sorted by its first columns as TABLES says. TABLES *is* the layout: any
    other engine reads and writes the same from it.

Versions
    Every body begins with its rules version, in the same place. A table has stood in the body since the version that it
    names; a body of an older one is read without it. So a new release starts from the state of the one before.

Canonical
    Balances without units have no row; open orders have rows in `expiries` to `amended`, in `parked`, `blocks`,
    `shares`, `triggers` and `waiting` only for what they have of it (`left_lots` in `orders` is what the order shows),
    markets in `entry_rules` and `conditional_rules` where one of these is set. An order's place at its level is its
    `priority`, 0 while it waits in no book; among the triggered ones it is `queued_seq`. Levels, indexes, totals and
    timers are rebuilt. `state_hash` is the hash of the whole body.
"""

from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from typing import Any, Final, NamedTuple

from msgspec.structs import fields

from apps.matching.engine.accounts import Account, Asset, Balance
from apps.matching.engine.allocation_tables import allocation_rows, restore_rules, restored_blocks
from apps.matching.engine.book import Order
from apps.matching.engine.cancel_timer import start_cancel_timer
from apps.matching.engine.client_ids import KEY_SIZE, NO_CLIENT_ID, RECORD, ClientIds
from apps.matching.engine.errors import SnapshotError, UnreadableVersion
from apps.matching.engine.list_tables import list_rows, restore_lists
from apps.matching.engine.market import Market
from apps.matching.engine.open_orders import await_trigger, join_triggered, rest_order, start_terms, wait_order
from apps.matching.engine.snapshot_halts import halt_rows, read_breakers, restore_halts
from apps.matching.engine.state import KeyedHold, State
from apps.matching.engine.terms import CONDITIONAL, PENDING, TRIGGERED, Terms
from apps.streams.kinds import Waiting
from apps.streams.messages import MarketSettings

MAGIC: Final = b"NBPTsnap"
OLDEST_READABLE: Final = 1
_COUNT: Final = Struct("<I")
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
)  # fmt: skip

_SETTINGS_COLUMNS: Final = tuple(name for name, _ in TABLES[3].columns[5:20])
# Tables of the settings that came later, with rows only for the markets that have any of them.
_RULES: Final = {
    table.name: tuple(name for name, _ in table.columns[1:]) for table in TABLES if table.name.endswith("_rules")
}
_DEFAULTS: Final[dict[str, Any]] = {field.name: field.default for field in fields(MarketSettings)}


def write_snapshot(state: State, rules_version: int) -> bytes:
    """The canonical body."""
    rows: dict[str, Iterator[tuple[Any, ...]]] = {
        "head": iter(
            [(rules_version, state.journal.seq, state.journal.now_ms, state.last_order_id, state.client_ids.capacity)]
        ),
        "relays": iter(sorted(state.relays.items())),
        "assets": (
            (asset.asset_id, asset.code, asset.external_units, asset.fee_units)
            for _, asset in sorted(state.assets.items())
        ),
        "markets": (_market_row(market) for _, market in sorted(state.markets.items())),
        "fees": (
            (market_id, tier, maker_ppm, taker_ppm)
            for market_id, market in sorted(state.markets.items())
            for tier, (maker_ppm, taker_ppm) in enumerate(market.settings.fees)
        ),
        "accounts": (
            (account.account_id, account.family_id, account.fee_tier) for _, account in sorted(state.accounts.items())
        ),
        "balances": (
            (account_id, asset_id, balance.available_units, balance.held_units)
            for account_id, account in sorted(state.accounts.items())
            for asset_id, balance in sorted(account.balances.items())
            if balance.available_units or balance.held_units
        ),
        "holds": (
            (key, held.account_id, held.asset_id, held.amount_units) for key, held in sorted(state.holds.items())
        ),
        "orders": (_order_row(order) for order in state.open_orders()),
        "skips": iter(_skip_rows(state)),
        **_terms_rows(state),
        "cancel_timers": (
            (account_id, account.cancel_due_ms, account.cancel_timer_seq)
            for account_id, account in sorted(state.accounts.items())
            if account.cancel_timer_seq
        ),
        **{name: iter(_rules_rows(state, columns)) for name, columns in _RULES.items()},
        **allocation_rows(state),
        "order_lists": list_rows(state),
        **halt_rows(state),
        "asset_classes": (
            (asset_id, asset.asset_class) for asset_id, asset in sorted(state.assets.items()) if asset.asset_class
        ),
    }
    parts = [MAGIC]
    for table in TABLES:
        if table.name == "closed_ids":
            packed = list(state.client_ids.ring)
        else:
            pack = table.row.pack
            packed = [pack(*row) for row in rows[table.name]]
        parts.append(_COUNT.pack(len(packed)))
        parts += packed
    return b"".join(parts)


def state_hash(body: bytes) -> str:
    """Lower-case hex of a snapshot body's hash."""
    return blake2b(body, digest_size=32).hexdigest()


def read_snapshot(body: bytes, rules_version: int) -> State:
    """The state of a body that write_snapshot made under these rules or under older ones, from OLDEST_READABLE on.

    UnreadableVersion for other versions, SnapshotError for anything else.
    """
    version = version_of(body)
    if not OLDEST_READABLE <= version <= rules_version:
        raise UnreadableVersion(found=version, own=rules_version, oldest_readable=OLDEST_READABLE)
    tables = _tables(body, version)
    _, seq, now_ms, last_order_id, closed_ids_kept = tables["head"][0]
    state = State(ClientIds(closed_ids_kept, (record for (record,) in tables["closed_ids"])))
    state.journal.seq, state.journal.now_ms, state.last_order_id = seq, now_ms, last_order_id
    try:
        _restore(state, tables)
    except (KeyError, ValueError) as error:
        raise SnapshotError(f"a row does not fit the others: {error}") from error
    return state


def version_of(body: bytes) -> int:
    """Rules version that a body says it is of; SnapshotError where it is no body."""
    if body[: len(MAGIC)] != MAGIC or len(body) < len(MAGIC) + _VERSION.size:
        raise SnapshotError("not a snapshot body")
    head_rows, version = _VERSION.unpack_from(body, len(MAGIC))
    if head_rows != 1:
        raise SnapshotError("a snapshot has one head row")
    return int(version)


def _tables(body: bytes, version: int) -> dict[str, list[tuple[Any, ...]]]:
    """Rows by table name; none of a table that the version did not have."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    offset = len(MAGIC)
    for table in TABLES:
        if table.since > version:
            tables[table.name] = []
            continue
        row = table.row
        end = offset + _COUNT.size
        if end > len(body):
            raise SnapshotError(f"the body ends before table {table.name}")
        (count,) = _COUNT.unpack_from(body, offset)
        offset, end = end, end + count * row.size
        if end > len(body):
            raise SnapshotError(f"the body ends within table {table.name}")
        tables[table.name] = list(row.iter_unpack(memoryview(body)[offset:end]))
        offset = end
    if offset != len(body):
        raise SnapshotError(f"{len(body) - offset} bytes follow the last table")
    return tables


def _restore(state: State, tables: dict[str, list[tuple[Any, ...]]]) -> None:
    state.relays.update(tables["relays"])
    for asset_id, code, external_units, fee_units in tables["assets"]:
        state.assets[asset_id] = Asset(asset_id, code.rstrip(b"\0"), external_units, fee_units)
    for asset_id, asset_class in tables["asset_classes"]:
        state.assets[asset_id].asset_class = asset_class.rstrip(b"\0")
    fees: dict[int, list[tuple[int, int]]] = {}
    for market_id, _tier, maker_ppm, taker_ppm in tables["fees"]:
        fees.setdefault(market_id, []).append((maker_ppm, taker_ppm))
    rules: dict[int, dict[str, Any]] = read_breakers(tables)
    for name, columns in _RULES.items():
        for market_id, *values in tables[name]:
            typed = {column: type(_DEFAULTS[column])(value) for column, value in zip(columns, values, strict=True)}
            rules.setdefault(market_id, {}).update(typed)
    for row in tables["markets"]:
        _restore_market(state, row, fees, rules.pop(row[0], {}))
    if rules:
        raise ValueError(f"rules of unknown markets: {sorted(rules)}")
    restore_halts(state, tables)
    for account_id, family_id, fee_tier in tables["accounts"]:
        account = state.accounts[account_id] = Account(account_id, 0, fee_tier)
        state.join_family(account, family_id)
    for account_id, asset_id, available_units, held_units in tables["balances"]:
        state.accounts[account_id].balances[asset_id] = Balance(available_units, held_units)
    for key, account_id, asset_id, amount_units in tables["holds"]:
        state.holds[key] = KeyedHold(account_id, asset_id, amount_units)
    # Levels are FIFO by priority, so orders enter the book in that order.
    priority = [name for name, _ in TABLES[8].columns].index("priority")
    parked = {order_id for order_id, *_ in tables["parked"]}
    waiting = {order_id: row for order_id, *row in tables["waiting"]}
    for row in sorted(tables["orders"], key=lambda row: row[priority]):
        order = _restore_order(state, row)
        if order.order_id in parked or order.order_id in waiting:
            wait_order(state, order)
        else:
            rest_order(state, order)
    _restore_terms(state, tables)
    restore_rules(state, tables)
    _restore_waiting(state, waiting)
    restore_lists(state, tables["order_lists"])
    for account_id, due_ms, seq in tables["cancel_timers"]:
        start_cancel_timer(state, state.accounts[account_id], due_ms, seq)
    for market_id, count in tables["skips"]:
        if market_id:
            state.markets[market_id].skips = count
        else:
            state.skips = count


def _terms_rows(state: State) -> dict[str, Iterator[tuple[Any, ...]]]:
    """Of open orders with terms, by table."""
    found = [(order.order_id, order.terms) for order in state.open_orders() if order.terms is not None]
    return {
        "expiries": ((order_id, each.expires_ms, each.accepted_seq) for order_id, each in found if each.expires_ms),
        "icebergs": ((order_id, each.display_lots, each.reserve_lots) for order_id, each in found if each.display_lots),
        "prevented": ((order_id, each.prevented_lots) for order_id, each in found if each.prevented_lots),
        "amended": ((order_id, each.placed_lots) for order_id, each in found if each.placed_lots),
        "parked": (
            (order_id, each.park_due_ms, each.parked_seq) for order_id, each in found if each.waiting == Waiting.PARKED
        ),
        "triggers": (
            (order_id, each.stop_price_ticks, each.trailing_bips)
            for order_id, each in found
            if each.stop_price_ticks or each.trailing_bips
        ),
        "waiting": (
            (order_id, each.waiting, each.accepted_seq, each.queued_seq, each.best_ticks, each.hold_units)
            for order_id, each in found
            if each.waiting and each.waiting != Waiting.PARKED
        ),
    }


def _restore_terms(state: State, tables: dict[str, list[tuple[Any, ...]]]) -> None:
    if not any(
        tables[name] for name in ("expiries", "icebergs", "prevented", "amended", "parked", "blocks", "triggers")
    ):
        return
    orders = {order.order_id: order for order in state.open_orders()}
    for order_id, expires_ms, accepted_seq in tables["expiries"]:
        terms = _terms_of(orders[order_id])
        terms.expires_ms, terms.accepted_seq = expires_ms, accepted_seq
    for order_id, display_lots, reserve_lots in tables["icebergs"]:
        terms = _terms_of(orders[order_id])
        terms.display_lots, terms.reserve_lots = display_lots, reserve_lots
        if (level := orders[order_id].level) is not None:
            level.hidden_lots += reserve_lots
    for order_id, lots in tables["prevented"]:
        _terms_of(orders[order_id]).prevented_lots = lots
    for order_id, placed_lots in tables["amended"]:
        _terms_of(orders[order_id]).placed_lots = placed_lots
    for order_id, due_ms, seq in tables["parked"]:
        terms = _terms_of(orders[order_id])
        terms.waiting, terms.park_due_ms, terms.parked_seq = int(Waiting.PARKED), due_ms, seq
    for order_id, block in restored_blocks(state, tables, orders):
        _terms_of(orders[order_id]).block = block
    for order_id, stop_price_ticks, trailing_bips in tables["triggers"]:
        terms = _terms_of(orders[order_id])
        terms.stop_price_ticks, terms.trailing_bips = stop_price_ticks, trailing_bips
    for order in orders.values():
        if order.terms is not None:
            start_terms(state, order, order.terms)


def _terms_of(order: Order) -> Terms:
    if order.terms is None:
        order.terms = Terms()
    return order.terms


def _restore_waiting(state: State, waiting: dict[int, list[Any]]) -> None:
    """The FIFO's order is that of queued_seq."""
    if not waiting:
        return
    orders = {order.order_id: order for order in state.open_orders()}
    for order_id, row in sorted(waiting.items(), key=lambda each: each[1][2]):
        order = orders[order_id]
        terms = _terms_of(order)
        kind, terms.accepted_seq, queued_seq, best_ticks, terms.hold_units = row
        if kind == CONDITIONAL:
            await_trigger(order, best_ticks)
        elif kind == TRIGGERED:
            join_triggered(order, queued_seq)
        elif kind == PENDING:
            terms.waiting = PENDING
        else:
            raise ValueError(f"order {order_id} waits for nothing known: {kind}")


def _skip_rows(state: State) -> list[tuple[int, int]]:
    """(market_id, count) where something was skipped."""
    counts = [(0, state.skips), *((market_id, market.skips) for market_id, market in sorted(state.markets.items()))]
    return [(market_id, count) for market_id, count in counts if count]


def _market_row(market: Market) -> tuple[Any, ...]:
    settings = market.settings
    return (
        market.market_id,
        settings.symbol.encode("ascii"),
        settings.base_asset_id,
        settings.quote_asset_id,
        settings.settings_version,
        *(getattr(settings, name) for name in _SETTINGS_COLUMNS),
        market.state,
        market.cause,
        market.last_price_ticks,
        market.last_trade_id,
        market.last_agg_id,
        market.last_prevented_id,
    )


def _restore_market(
    state: State, row: tuple[Any, ...], fees: dict[int, list[tuple[int, int]]], rules: dict[str, Any]
) -> None:
    """`rules` are the settings that have tables of their own."""
    market_id, symbol, base_asset_id, quote_asset_id, settings_version, *rest = row
    values = rest[: len(_SETTINGS_COLUMNS)]
    settings = MarketSettings(
        market_id=market_id,
        symbol=symbol.rstrip(b"\0").decode("ascii"),
        base_asset_id=base_asset_id,
        quote_asset_id=quote_asset_id,
        settings_version=settings_version,
        fees=fees[market_id],
        **dict(zip(_SETTINGS_COLUMNS, values, strict=True)),
        **rules,
    )
    market = Market(settings, state.assets[base_asset_id], state.assets[quote_asset_id])
    (
        market.state,
        market.cause,
        market.last_price_ticks,
        market.last_trade_id,
        market.last_agg_id,
        market.last_prevented_id,
    ) = rest[len(_SETTINGS_COLUMNS) :]
    state.markets[market_id] = market


def _rules_rows(state: State, columns: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """(market_id, values) where any of these settings is not its default."""
    for market_id, market in sorted(state.markets.items()):
        values = tuple(getattr(market.settings, name) for name in columns)
        if values != tuple(_DEFAULTS[name] for name in columns):
            yield (market_id, *values)


def _order_row(order: Order) -> tuple[Any, ...]:
    return (
        order.order_id,
        order.account.account_id,
        order.market.market_id,
        order.side,
        order.kind,
        order.time_in_force,
        order.stp_mode,
        order.price_ticks,
        order.quantity_lots,
        order.left_lots,
        order.filled_lots,
        order.filled_quote_units,
        order.priority,
        order.client_id,
        order.id_key,
        order.fingerprint,
    )


def _restore_order(state: State, row: tuple[Any, ...]) -> Order:
    """The order by itself, in no book and no index yet."""
    (
        order_id, account_id, market_id, side, kind, time_in_force, stp_mode, price_ticks, quantity_lots, left_lots,
        filled_lots, filled_quote_units, priority, client_id, id_key, fingerprint,
    ) = row  # fmt: skip
    market = state.markets[market_id]
    seat = market.seats.get(account_id) or state.accounts[account_id].take_seat(market)
    order = Order(
        seat, side, kind, time_in_force, stp_mode, price_ticks,
        quantity_lots, 0, client_id,
    )  # fmt: skip
    order.order_id = order_id
    order.left_lots = left_lots
    order.filled_lots = filled_lots
    order.filled_quote_units = filled_quote_units
    order.priority = priority
    order.id_key = id_key if client_id != NO_CLIENT_ID else b""
    order.fingerprint = fingerprint
    return order
