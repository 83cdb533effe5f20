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

# Orders, rules and halts of every sort: in the end there are rows in every table of a snapshot. The market was halted
# by its first breaker, opened again, and is in a call phase.
EVERY_TABLE = """
    fees -100:1000 0:900
    family sub1 head
    tier bob 1
    bid  b1 alice 50000 0.3
    bid  b2 bob   50000 0.2
    ask  a1 alice 51000 0.1
    sell s1 carol market 0.35
    hold wd:1 alice 6 USDT
    cancel a1
    bid  b3 dave 49000 0.3 gtd 60 show 0.1
    ask  a3 dave 52000 0.3
    buy  p1 dave market 0.1 stp decrement
    amend b3 0.25
    cancel-after dave 90
    set bid_up_bp 11000 park_outside_band 1 max_iceberg_orders 3
    bid  b4 alice 90000 0.1 show 0.05
    bid  b5 alice 90000 0.1 gtd 9000
    bid  b6 alice 90000 0.1 gtd 90
    family s1..s3 head
    allocation r head fixed s1:5000 s2:3000 s3:2000
    block r ask k1 head 53000 0.3
    buy  p2 dave market 0.25
    set  max_conditional_orders 7 conditional_buffer_bp 500
    buy  s3 erin market 0.2 stop 60000
    ask  s4 erin 48000 0.2 stop 48500 gtd 900 show 0.1
    sell s5 erin market 0.2 stop 0 trail 100
    bid  s6 erin 60000 0.3 profit 40000 trail 200
    class-of BTC coin
    set  breaker_min_notional_units 500 max_order_lists 4 call_s 30 collar_bp 900 max_extensions 2 max_order_amends 3
    breakers 1:price:1000:600:120 2:vwap:2000:3600:180
    bid  n1 alice 51000 0.2
    ask  n2 bob   52500 0.2
    ask  n3 carol 80000 0.5
    oco  l1 / ask o1 alice 90000 0.1 maker / ask o2 alice 44000 0.1 stop 45000
    buy  n4 carol market 0.05
    wait 2
    buy  n5 gina market 1.2
    wait 152
    block r ask k2 head 85000 0.3
    bid  n6 henry 50900 0.3
    sell n7 henry market 0.25 stp decrement
    hold wd:9 henry 5 BTC
    amend n3 0.4
    cancel-after henry 90
    bid  n8 alice 52000 0.1
    ask  n9 erin 52900 0.3
    wait 1
    state AUCTION
    bid  n10 dave 53000 0.2
    bid  n11 dave 52600 0.1 gtd 900
    skip bid n12 alice 50000 0.1
    wait 1
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
