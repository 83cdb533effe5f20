"""Money without an order: credit, debit, keyed holds, transfer (architecture.md section 6). Units are 10^-8.

Every handler returns why it refused, having changed nothing, or None after one MONEY_MOVED event. An account comes
into being by its first CREDIT; nothing else makes one except SET_ACCOUNT.
"""

from typing import Final

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine.accounts import Account, Balance
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.funds import hold, release
from apps.matching.engine.relay import NO_KEY
from apps.matching.engine.state import KeyedHold, State
from apps.streams.kinds import CommandKind, Counterparty, Reason

_unpack = fields_of(CommandKind.CREDIT).unpack_from
_KNOWN_COUNTERS: Final = frozenset(int(counter) for counter in Counterparty if counter is not Counterparty.NONE)


class Money:
    """A money command's fields."""

    __slots__ = (
        "account_id", "amount_units", "asset_id", "counter", "key", "op", "parts", "relay_seq", "source",
        "to_account_id",
    )  # fmt: skip

    def __init__(self, frames: bytes, offset: int) -> None:
        (
            self.parts, _, _, self.account_id, self.relay_seq, self.source, self.counter,
            self.asset_id, self.amount_units, self.to_account_id, self.key,
        ) = _unpack(frames, offset)  # fmt: skip
        self.op = frames[offset + 1]

    def is_well_formed(self) -> bool:
        return self.parts == 1 and self.account_id > 0 and is_text(self.key)


def credit(state: State, frames: bytes, offset: int) -> Reason | None:
    """counter -> available of account_id."""
    money = Money(frames, offset)
    if not money.is_well_formed() or money.amount_units <= 0 or money.counter not in _KNOWN_COUNTERS:
        return Reason.MALFORMED
    asset = state.assets.get(money.asset_id)
    if asset is None:
        return Reason.UNKNOWN_ASSET
    if asset.external_units + money.amount_units > AMOUNT_MAX:
        return Reason.OVERFLOW
    account = state.accounts.get(money.account_id)
    if account is None:
        account = state.accounts[money.account_id] = Account(money.account_id)
    balance = account.balance(money.asset_id)
    balance.available_units += money.amount_units
    asset.external_units += money.amount_units
    _moved(state, money, balance, money.amount_units)
    return None


def debit(state: State, frames: bytes, offset: int) -> Reason | None:
    """available of account_id -> counter."""
    money = Money(frames, offset)
    if not money.is_well_formed() or money.amount_units <= 0 or money.counter not in _KNOWN_COUNTERS:
        return Reason.MALFORMED
    balance = _spendable(state, money)
    if isinstance(balance, Reason):
        return balance
    balance.available_units -= money.amount_units
    state.assets[money.asset_id].external_units -= money.amount_units
    _moved(state, money, balance, money.amount_units)
    return None


def transfer(state: State, frames: bytes, offset: int) -> Reason | None:
    """available of account_id -> available of to_account_id."""
    money = Money(frames, offset)
    if not money.is_well_formed() or money.amount_units <= 0 or money.to_account_id == money.account_id:
        return Reason.MALFORMED
    balance = _spendable(state, money)
    if isinstance(balance, Reason):
        return balance
    receiver = state.accounts.get(money.to_account_id)
    if receiver is None:
        return Reason.UNKNOWN_ACCOUNT
    to_balance = receiver.balance(money.asset_id)
    balance.available_units -= money.amount_units
    to_balance.available_units += money.amount_units
    _moved(state, money, balance, money.amount_units, to_balance=to_balance)
    return None


def hold_keyed(state: State, frames: bytes, offset: int) -> Reason | None:
    """available -> held under the key, which must be new."""
    money = Money(frames, offset)
    if not money.is_well_formed() or money.amount_units <= 0 or money.key == NO_KEY:
        return Reason.MALFORMED
    balance = _spendable(state, money)
    if isinstance(balance, Reason):
        return balance
    if money.key in state.holds:
        return Reason.DUPLICATE_HOLD
    hold(balance, money.amount_units)
    state.holds[money.key] = KeyedHold(money.account_id, money.asset_id, money.amount_units)
    _moved(state, money, balance, money.amount_units)
    return None


def release_keyed(state: State, frames: bytes, offset: int) -> Reason | None:
    """The whole hold -> available."""
    money = Money(frames, offset)
    if not money.is_well_formed():
        return Reason.MALFORMED
    held = _own_hold(state, money)
    if held is None:
        return Reason.UNKNOWN_HOLD
    balance = state.accounts[money.account_id].balance(money.asset_id)
    release(balance, held.amount_units)
    del state.holds[money.key]
    _moved(state, money, balance, held.amount_units)
    return None


def capture_keyed(state: State, frames: bytes, offset: int) -> Reason | None:
    """amount_units of the hold -> counter, or -> available of to_account_id; the rest of the hold -> available."""
    money = Money(frames, offset)
    if not money.is_well_formed() or money.amount_units <= 0:
        return Reason.MALFORMED
    if money.to_account_id == money.account_id or not (money.to_account_id or money.counter in _KNOWN_COUNTERS):
        return Reason.MALFORMED
    held = _own_hold(state, money)
    if held is None:
        return Reason.UNKNOWN_HOLD
    if money.amount_units > held.amount_units:
        return Reason.CAPTURE_ABOVE_HOLD
    to_balance = None
    if money.to_account_id:
        receiver = state.accounts.get(money.to_account_id)
        if receiver is None:
            return Reason.UNKNOWN_ACCOUNT
        to_balance = receiver.balance(money.asset_id)
        to_balance.available_units += money.amount_units
    else:
        state.assets[money.asset_id].external_units -= money.amount_units
    balance = state.accounts[money.account_id].balance(money.asset_id)
    release(balance, held.amount_units)
    balance.available_units -= money.amount_units
    del state.holds[money.key]
    rest = held.amount_units - money.amount_units
    _moved(state, money, balance, money.amount_units, released_units=rest, to_balance=to_balance)
    return None


def _spendable(state: State, money: Money) -> Balance | Reason:
    """The account's balance where it has at least the amount available."""
    if money.asset_id not in state.assets:
        return Reason.UNKNOWN_ASSET
    account = state.accounts.get(money.account_id)
    if account is None:
        return Reason.UNKNOWN_ACCOUNT
    balance = account.balance(money.asset_id)
    return balance if balance.available_units >= money.amount_units else Reason.INSUFFICIENT_BALANCE


def _own_hold(state: State, money: Money) -> KeyedHold | None:
    """The hold of that key where account and asset are those of the command."""
    held = state.holds.get(money.key)
    if held is None or held.account_id != money.account_id or held.asset_id != money.asset_id:
        return None
    return held


def _moved(
    state: State,
    money: Money,
    balance: Balance,
    amount_units: int,
    *,
    released_units: int = 0,
    to_balance: Balance | None = None,
) -> None:
    state.journal.money_moved(
        money.op,
        money.relay_seq,
        money.source,
        money.counter,
        money.asset_id,
        money.key,
        amount_units,
        account_id=money.account_id,
        available_units=balance.available_units,
        held_units=balance.held_units,
        released_units=released_units,
        to_account_id=money.to_account_id if to_balance is not None else 0,
        to_available_units=to_balance.available_units if to_balance is not None else 0,
        to_held_units=to_balance.held_units if to_balance is not None else 0,
    )
