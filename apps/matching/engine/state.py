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

    `skips` is for poison.py: that of commands without a market. `auctions` has the markets in AUCTION, whose prices are
    told up to event `auctions_seen`. `families` says which accounts are in another account's family, by its id.
    """

    __slots__ = (
        "accounts", "assets", "auctions", "auctions_seen", "client_ids", "families", "holds", "journal",
        "last_order_id", "markets", "relays", "skips", "timers",
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
        self.auctions: dict[int, Market] = {}
        self.auctions_seen = 0
        self.families: dict[int, set[int]] = {}

    def join_family(self, account: Account, family_id: int) -> None:
        """From now on the account belongs to this family."""
        members = self.families.get(account.family_id)
        if members is not None:
            members.discard(account.account_id)
            if not members:
                del self.families[account.family_id]
        account.family_id = family_id
        if family_id != account.account_id:
            self.families.setdefault(family_id, set()).add(account.account_id)

    def open_orders(self) -> list[Order]:
        """All open orders by order_id. O(n log n)."""
        orders = [
            order for account in self.accounts.values() for seat in account.seats for order in seat.open_orders.values()
        ]
        orders.sort(key=lambda order: order.order_id)
        return orders
