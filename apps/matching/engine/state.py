"""Everything the engine remembers between two commands."""

from apps.matching.engine.accounts import Account, Asset
from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import ClientIds
from apps.matching.engine.journal import Journal
from apps.matching.engine.market import Market
from apps.matching.engine.timers import Timers


class KeyedHold:
    """Units held under a business key (a withdrawal, a stake)."""

    __slots__ = ("account_id", "amount_units", "asset_id")

    def __init__(self, account_id: int, asset_id: int, amount_units: int) -> None:
        self.account_id = account_id
        self.asset_id = asset_id
        self.amount_units = amount_units


class State:
    """The shard's state. Time and event seq stand in the journal; `relays` has the last relay_seq by source.

    `skips` is for poison.py: that of commands without a market.
    """

    __slots__ = (
        "accounts", "assets", "client_ids", "holds", "journal", "last_order_id", "markets", "relays", "skips", "timers",
    )  # fmt: skip

    def __init__(self, client_ids: ClientIds) -> None:
        self.journal = Journal()
        self.assets: dict[int, Asset] = {}
        self.markets: dict[int, Market] = {}
        self.accounts: dict[int, Account] = {}
        self.holds: dict[bytes, KeyedHold] = {}
        self.client_ids = client_ids
        self.relays: dict[int, int] = {}
        self.last_order_id = 0
        self.skips = 0
        self.timers = Timers()

    def open_orders(self) -> list[Order]:
        """All open orders by order_id. O(n log n)."""
        orders = [
            order for account in self.accounts.values() for seat in account.seats for order in seat.open_orders.values()
        ]
        orders.sort(key=lambda order: order.order_id)
        return orders
