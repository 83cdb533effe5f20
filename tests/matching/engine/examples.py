"""Books and accounts that several test modules start from, in the words of play.py."""

from typing import Any

from apps.streams.codec import encode_block
from apps.streams.commands import PlaceBlock, PlaceOrder
from apps.streams.kinds import OrderKind, Side, TimeInForce
from tests.matching.engine.play import MARKET, Table, play

# The last price is 50000; both sides have depth.
CONDITIONAL_BOOK = """
    ask a0 dave 50000 0.1
    buy p0 erin market 0.1
    bid d1 dave 49500 1
    bid d2 dave 49000 1
    bid d3 dave 48000 9
    ask d4 dave 50500 1
    ask d5 dave 51000 1
    ask d6 dave 52000 9
"""

# A head with three sub-accounts, and a rule of each method.
FAMILY = """
family s1..s3 head
allocation even head equal s1..s3
allocation parts head fixed s1:5000 s2:3000 s3:2000
allocation asked head pro-rata s1..s3
"""


def wide_family(accounts: int) -> Table:
    return play(f"family s1..s{accounts} head\nallocation r head equal s1..s{accounts}")


def block_limit(table: Table, **changes: object) -> PlaceOrder:
    values = {
        "market_id": MARKET, "account_id": table.account("head"), "settings_version": 1, "side": Side.BUY,
        "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "price_ticks": 5_000_000, "quantity_lots": 9,
    }  # fmt: skip
    return PlaceOrder(**(values | changes))  # type: ignore[arg-type]


def place_block(table: Table, order: PlaceOrder, rule_id: int = 1) -> list[Any]:
    head = PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=rule_id)
    return table.run(encode_block(head, order))
