"""What is compared: the same facts from the engine and from PostgreSQL, at one sequence number."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class OrderFacts(NamedTuple):
    """An open order. `left_lots`, an iceberg's reserve included, is 0 for one by quote budget, which never rests.

    `is_waiting`: for its trigger.
    """

    account_id: int
    market_id: int
    side: int
    price_ticks: int
    left_lots: int
    filled_lots: int
    filled_quote_units: int
    client_order_id: str
    parked: bool = False
    is_waiting: bool = False
    is_pending: bool = False
    order_list_id: int = 0


class ShareFacts(NamedTuple):
    """A sub-account's share of an open block order."""

    final_lots: int
    allocated_lots: int


class ListFacts(NamedTuple):
    """An open order list. `has_entered`: what was pending has been brought to its turn; always so of an OCO."""

    account_id: int
    market_id: int
    kind: int
    client_order_id: str
    order_ids: tuple[int, ...]
    has_entered: bool


class AccountFacts(NamedTuple):
    """Of an account that is in another's family or has another tier than the lowest."""

    family_id: int
    fee_tier: int


class RuleFacts(NamedTuple):
    """An allocation rule."""

    method: int
    accounts: tuple[int, ...]
    weights_bp: tuple[int, ...]


class ClassFacts(NamedTuple):
    """Of an asset that has a class."""

    asset_class: str


class BalanceFacts(NamedTuple):
    available_units: int
    held_units: int


class HouseFacts(NamedTuple):
    """All fees taken (house income and SAFU), and what came in minus what went out, in units."""

    fee_units: int
    external_units: int


@dataclass(slots=True)
class Facts:
    """State of the money and orders after event `seq`. Balances and house rows without units are left out."""

    seq: int
    balances: dict[tuple[int, int], BalanceFacts] = field(default_factory=dict)
    orders: dict[int, OrderFacts] = field(default_factory=dict)
    shares: dict[tuple[int, int], ShareFacts] = field(default_factory=dict)  # by order and sub-account
    lists: dict[int, ListFacts] = field(default_factory=dict)
    house: dict[int, HouseFacts] = field(default_factory=dict)
    last_trade_ids: dict[int, int] = field(default_factory=dict)
    accounts: dict[int, AccountFacts] = field(default_factory=dict)
    rules: dict[tuple[int, int], RuleFacts] = field(default_factory=dict)  # by owner and rule
    classes: dict[int, ClassFacts] = field(default_factory=dict)  # by asset

    def counts(self) -> dict[str, int]:
        return {
            "balances": len(self.balances),
            "open orders": len(self.orders),
            "open order lists": len(self.lists),
            "shares of block orders": len(self.shares),
            "assets": len(self.house),
            "trades": sum(self.last_trade_ids.values()),
            "accounts with a family or tier": len(self.accounts),
            "allocation rules": len(self.rules),
            "assets with a class": len(self.classes),
        }


def differences(engine: Facts, record: Facts) -> Iterator[str]:
    """One sentence for each fact in which the two differ, in a fixed order."""
    assert engine.seq == record.seq, "states at different sequence numbers are not comparable"
    yield from _unequal("balance of account {0[0]}, asset {0[1]}", engine.balances, record.balances)
    yield from _unequal("open order {0}", engine.orders, record.orders)
    yield from _unequal("share of account {0[1]} in order {0[0]}", engine.shares, record.shares)
    yield from _unequal("open order list {0}", engine.lists, record.lists)
    yield from _unequal("fees and external of asset {0}", engine.house, record.house)
    yield from _unequal("last trade id of market {0}", engine.last_trade_ids, record.last_trade_ids)
    yield from _unequal("family and tier of account {0}", engine.accounts, record.accounts)
    yield from _unequal("allocation rule {0[1]} of account {0[0]}", engine.rules, record.rules)
    yield from _unequal("class of asset {0}", engine.classes, record.classes)


def _unequal(what: str, engine: dict[Any, Any], record: dict[Any, Any]) -> Iterator[str]:
    for key in sorted(engine.keys() | record.keys()):
        ours, theirs = engine.get(key), record.get(key)
        if ours != theirs:
            yield f"{what.format(key)}: engine {_shown(ours)}, PostgreSQL {_shown(theirs)}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, tuple):
        return ", ".join(f"{name}={part}" for name, part in value._asdict().items())  # type: ignore[attr-defined]
    return str(value)
