"""Relayed commands: numbering per source, money without orders (docs: Money without orders)."""

from collections.abc import Callable
from typing import Any

from apps.streams.commands import Capture, Credit, Debit, Hold, Release, Transfer
from apps.streams.events import MoneyMoved
from apps.streams.kinds import Counterparty, Reason, Source
from tests.oracle.refusing import refuse
from tests.oracle.world import AMOUNT_MAX, Account, KeyedHold, World


class Gap(Exception):
    """A relayed command is missing: the shard stops."""


def is_next(world: World, relay_seq: int, source: int) -> bool:
    """Whether a relayed command is to be applied; one that is not newer is passed over without an event."""
    if source == Source.DIRECT:
        return True
    last = world.relayed.get(source, 0)
    if relay_seq <= last:
        return False
    if relay_seq > last + 1:
        raise Gap(f"source {source}: {relay_seq} after {last}")
    world.relayed[source] = relay_seq
    return True


def move_money(world: World, command: Any, *, readable: bool) -> None:
    reason, moved, released = Reason.NONE if readable and well_formed(command) else Reason.MALFORMED, 0, 0
    if not reason:
        outcome = ACTIONS[type(command)](world, command)
        if isinstance(outcome, Reason):
            reason = outcome
        else:
            moved, released = outcome
    if reason:
        refuse(world, command, reason, object_id=command.asset_id)
        return
    available, held = world.balance(world.accounts[command.account_id], command.asset_id)
    to_account_id = command.to_account_id if isinstance(command, Capture | Transfer) else 0
    to_available, to_held = 0, 0
    if to_account_id:
        to_available, to_held = world.balance(world.accounts[to_account_id], command.asset_id)
    world.emit(
        MoneyMoved,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        counter=command.counter,
        asset_id=command.asset_id,
        amount_units=moved,
        released_units=released,
        available_units=available,
        held_units=held,
        to_account_id=to_account_id,
        to_available_units=to_available,
        to_held_units=to_held,
        op=command.KIND,
        key=command.key,
    )


def well_formed(command: Any) -> bool:
    """An account; an amount above 0; who stands on the other side, where somebody does. The rest is not read."""
    external = command.counter == Counterparty.EXTERNAL
    if command.account_id == 0:
        return False
    match command:
        case Release():
            return True
        case Credit() | Debit():
            return external and command.amount_units > 0
        case Hold():
            return command.key != "" and command.amount_units > 0
    if command.amount_units <= 0 or command.to_account_id == command.account_id:
        return False
    return isinstance(command, Transfer) or external or command.to_account_id > 0


def unknown(world: World, command: Any) -> Reason:
    if command.asset_id not in world.assets:
        return Reason.UNKNOWN_ASSET
    if command.account_id not in world.accounts:
        return Reason.UNKNOWN_ACCOUNT
    return Reason.NONE


Outcome = Reason | tuple[int, int]  # refused, or (moved, released)


def credit(world: World, command: Credit) -> Outcome:
    asset = command.asset_id
    if asset not in world.assets:
        return Reason.UNKNOWN_ASSET
    if world.external.get(asset, 0) + command.amount_units > AMOUNT_MAX:
        return Reason.OVERFLOW
    account = world.accounts.setdefault(command.account_id, Account(command.account_id, command.account_id))
    world.add(account, asset, command.amount_units)
    world.external[asset] = world.external.get(asset, 0) + command.amount_units
    return command.amount_units, 0


def debit(world: World, command: Debit) -> Outcome:
    reason = unknown(world, command)
    if reason:
        return reason
    account = world.accounts[command.account_id]
    if world.available(account, command.asset_id) < command.amount_units:
        return Reason.INSUFFICIENT_BALANCE
    world.add(account, command.asset_id, -command.amount_units)
    world.external[command.asset_id] -= command.amount_units
    return command.amount_units, 0


def hold(world: World, command: Hold) -> Outcome:
    reason = unknown(world, command)
    if reason:
        return reason
    account = world.accounts[command.account_id]
    if world.available(account, command.asset_id) < command.amount_units:
        return Reason.INSUFFICIENT_BALANCE
    if command.key in world.holds:
        return Reason.DUPLICATE_HOLD
    world.holds[command.key] = KeyedHold(account, command.asset_id, command.amount_units)
    return command.amount_units, 0


def rightly_named(world: World, command: Release | Capture) -> KeyedHold | None:
    kept = world.holds.get(command.key)
    if kept is None or (kept.account.account_id, kept.asset) != (command.account_id, command.asset_id):
        return None
    return kept


def release(world: World, command: Release) -> Outcome:
    kept = rightly_named(world, command)
    if kept is None:
        return Reason.UNKNOWN_HOLD
    del world.holds[command.key]
    return kept.amount, 0


def capture(world: World, command: Capture) -> Outcome:
    kept = rightly_named(world, command)
    if kept is None:
        return Reason.UNKNOWN_HOLD
    if command.amount_units > kept.amount:
        return Reason.CAPTURE_ABOVE_HOLD
    if command.to_account_id and command.to_account_id not in world.accounts:
        return Reason.UNKNOWN_ACCOUNT
    del world.holds[command.key]
    world.add(kept.account, command.asset_id, -command.amount_units)
    if command.to_account_id:
        world.add(world.accounts[command.to_account_id], command.asset_id, command.amount_units)
    else:
        world.external[command.asset_id] -= command.amount_units
    return command.amount_units, kept.amount - command.amount_units


def transfer(world: World, command: Transfer) -> Outcome:
    reason = unknown(world, command)
    if reason:
        return reason
    account = world.accounts[command.account_id]
    if world.available(account, command.asset_id) < command.amount_units:
        return Reason.INSUFFICIENT_BALANCE
    if command.to_account_id not in world.accounts:
        return Reason.UNKNOWN_ACCOUNT
    world.add(account, command.asset_id, -command.amount_units)
    world.add(world.accounts[command.to_account_id], command.asset_id, command.amount_units)
    return command.amount_units, 0


ACTIONS: dict[type[Any], Callable[[World, Any], Outcome]] = {
    Credit: credit, Debit: debit, Hold: hold, Release: release, Capture: capture, Transfer: transfer,
}  # fmt: skip
