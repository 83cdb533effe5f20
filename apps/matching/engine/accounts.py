"""Accounts, their balances, and the assets these are in."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.matching.engine.allocation_rules import AllocationRule
    from apps.matching.engine.book import Order
    from apps.matching.engine.market import Market


class Asset:
    """An asset the engine holds, with the two totals that the accounts' balances must add up to."""

    __slots__ = ("asset_class", "asset_id", "code", "external_units", "fee_units")

    def __init__(self, asset_id: int, code: bytes, external_units: int = 0, fee_units: int = 0) -> None:
        self.asset_class = b""  # staff halts the markets of a class at once; empty for none
        self.asset_id = asset_id
        self.code = code
        self.external_units = external_units  # credited minus debited and captured
        self.fee_units = fee_units  # fees minus rebates; who gets which share is the ledger's business


class Balance:
    """Spendable and held units of one account in one asset. One without units is the same as none."""

    __slots__ = ("available_units", "held_units")

    def __init__(self, available_units: int = 0, held_units: int = 0) -> None:
        self.available_units = available_units
        self.held_units = held_units


class Seat:
    """An account in one market: the two balances it trades with and its open orders there by order_id.

    `conditional_orders` is how many of these wait for a trigger, `iceberg_orders` how many have a display, and
    `order_lists` how many lists they make.
    """

    __slots__ = (
        "account", "base", "conditional_orders", "iceberg_orders", "market", "open_orders", "order_lists", "quote",
    )  # fmt: skip

    def __init__(self, account: "Account", market: "Market", base: Balance, quote: Balance) -> None:
        self.account = account
        self.market = market
        self.base = base
        self.quote = quote
        self.open_orders: dict[int, Order] = {}
        self.conditional_orders = 0
        self.iceberg_orders = 0
        self.order_lists = 0


class Account:
    """A trading account: its balances by asset and its seats.

    `family_id` is the label that self-trade prevention compares; an account without a family has its own id there.
    `open_shares` counts the open block orders that hold something of it, `allocations` are the rules by which it places
    such orders itself, by rule_id. `cancel_due_ms` and `cancel_timer_seq` are its cancel-all-after and the event that
    set it, 0 without one.
    """

    __slots__ = (
        "account_id", "allocations", "balances", "cancel_due_ms", "cancel_timer_seq", "family_id", "fee_tier",
        "open_shares", "seats",
    )  # fmt: skip

    def __init__(self, account_id: int, family_id: int = 0, fee_tier: int = 0) -> None:
        self.account_id = account_id
        self.family_id = family_id or account_id
        self.fee_tier = fee_tier
        self.cancel_due_ms = 0
        self.cancel_timer_seq = 0
        self.open_shares = 0
        self.allocations: dict[int, AllocationRule] = {}
        self.balances: dict[int, Balance] = {}
        self.seats: list[Seat] = []

    def balance(self, asset_id: int) -> Balance:
        """The balance in an asset, made on first use."""
        balance = self.balances.get(asset_id)
        if balance is None:
            balance = self.balances[asset_id] = Balance()
        return balance

    def take_seat(self, market: "Market") -> Seat:
        """The account's first order in this market."""
        seat = Seat(self, market, self.balance(market.base_asset_id), self.balance(market.quote_asset_id))
        self.seats.append(seat)
        market.seats[self.account_id] = seat
        return seat

    def has_open_orders(self) -> bool:
        """Its own, or block orders in which it has a share."""
        return self.open_shares > 0 or any(seat.open_orders for seat in self.seats)

    def all_open_orders(self) -> "list[Order]":
        """In every market, by ascending order_id."""
        found = [order for seat in self.seats for order in seat.open_orders.values()]
        found.sort(key=lambda order: order.order_id)
        return found

    def open_order(self, order_id: int) -> "Order | None":
        for seat in self.seats:
            if order_id in seat.open_orders:
                return seat.open_orders[order_id]
        return None
