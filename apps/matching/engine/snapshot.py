"""Snapshot body: the whole state as tables of packed rows (snapshot_tables.py), the same bytes for the same state.

Canonical
    Balances without units have no row; open orders have rows in `expiries` to `amended`, in `amends`, `parked`,
    `blocks`, `shares`, `triggers` and `waiting` only for what they have of it (`left_lots` in `orders` is what shows),
    markets in `entry_rules` and `conditional_rules` where one of these is set. An order's place at its level is its
    `priority`, 0 while it waits in no book; among the triggered ones it is `queued_seq`. Levels, indexes, totals and
    timers are rebuilt. `state_hash` is the hash of the whole body.
"""

from collections.abc import Iterator
from hashlib import blake2b

from apps.matching.engine.accounts import Account, Asset, Balance
from apps.matching.engine.allocation_tables import allocation_rows, restore_rules
from apps.matching.engine.cancel_timer import start_cancel_timer
from apps.matching.engine.client_ids import ClientIds
from apps.matching.engine.errors import SnapshotError, UnreadableVersion
from apps.matching.engine.list_tables import list_rows, restore_lists
from apps.matching.engine.snapshot_checks import check_restored, check_rows
from apps.matching.engine.snapshot_halts import halt_rows, restore_halts
from apps.matching.engine.snapshot_markets import market_rows, restore_markets, restore_skips
from apps.matching.engine.snapshot_orders import order_rows, restore_orders
from apps.matching.engine.snapshot_tables import (
    COUNT,
    MAGIC,
    OLDEST_READABLE,
    TABLES,
    Row,
    Rows,
    read_tables,
    version_of,
)
from apps.matching.engine.state import KeyedHold, State
from apps.matching.engine.timers import NEVER


def write_snapshot(state: State, rules_version: int) -> bytes:
    """The canonical body."""
    rows: dict[str, Iterator[Row]] = {
        "head": iter(
            [(rules_version, state.journal.seq, state.journal.now_ms, state.last_order_id, state.client_ids.capacity)]
        ),
        "relays": iter(sorted(state.relays.items())),
        "assets": (
            (asset.asset_id, asset.code, asset.external_units, asset.fee_units)
            for _, asset in sorted(state.assets.items())
        ),
        **market_rows(state),
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
        **order_rows(state),
        "cancel_timers": (
            (account_id, account.cancel_due_ms, account.cancel_timer_seq)
            for account_id, account in sorted(state.accounts.items())
            if account.cancel_timer_seq
        ),
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
        parts.append(COUNT.pack(len(packed)))
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
    tables = read_tables(body, version)
    _, seq, now_ms, last_order_id, closed_ids_kept = tables["head"][0]
    if now_ms >= NEVER:
        raise SnapshotError(f"a time of {now_ms} ms")
    try:
        state = State(ClientIds(closed_ids_kept, (record for (record,) in tables["closed_ids"])))
        state.journal.seq, state.journal.now_ms, state.last_order_id = seq, now_ms, last_order_id
        check_rows(tables)
        _restore(state, tables)
        check_restored(state)
    except (KeyError, ValueError) as error:
        raise SnapshotError(f"a row does not fit the others: {error}") from error
    return state


def _restore(state: State, tables: Rows) -> None:
    state.relays.update(tables["relays"])
    for asset_id, code, external_units, fee_units in tables["assets"]:
        state.assets[asset_id] = Asset(asset_id, code.rstrip(b"\0"), external_units, fee_units)
    for asset_id, asset_class in tables["asset_classes"]:
        state.assets[asset_id].asset_class = asset_class.rstrip(b"\0")
    restore_markets(state, tables)
    restore_halts(state, tables)
    for account_id, family_id, fee_tier in tables["accounts"]:
        account = state.accounts[account_id] = Account(account_id, 0, fee_tier)
        state.join_family(account, family_id)
    for account_id, asset_id, available_units, held_units in tables["balances"]:
        state.accounts[account_id].balances[asset_id] = Balance(available_units, held_units)
    for key, account_id, asset_id, amount_units in tables["holds"]:
        state.holds[key] = KeyedHold(account_id, asset_id, amount_units)
    restore_orders(state, tables)
    restore_rules(state, tables)
    restore_lists(state, tables["order_lists"])
    for account_id, due_ms, seq in tables["cancel_timers"]:
        start_cancel_timer(state, state.accounts[account_id], due_ms, seq)
    restore_skips(state, tables)
