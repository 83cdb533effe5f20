"""The requests of a run, in the order in which they are due. Pure; equal seeds make equal traffic."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from apps.gateway.loadgen.market import LEVELS, Market
from apps.gateway.loadgen.plan import READS, Plan

ORDERS: Final = "orders"
CANCELS: Final = "cancels"
READ: Final = "reads"
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """Of a REST method and path and of a WebSocket API method; `account` is a number of a key, None without."""

    kind: str
    method: str
    path: str
    ws: str
    params: dict[str, str]
    account: int | None = None
    client_id: str = ""
    # To be cancelled after a while: an order that is not meant to meet another one.
    rests: bool = False


def arrivals(rate: int, plan: Plan, kind: int) -> Iterator[int]:
    """Nanoseconds after the start at which requests of one kind are due."""
    draw = random.Random(plan.seed + kind)  # noqa: S311  # nosec B311 # traffic, not secrets
    end_ns = plan.seconds * SECOND_NS
    if plan.arrivals == "even":
        yield from (number * SECOND_NS // rate for number in range(rate * plan.seconds))
        return
    due_s = draw.expovariate(rate)
    while (due_ns := int(due_s * SECOND_NS)) < end_ns:
        yield due_ns
        due_s += draw.expovariate(rate)


def traffic(plan: Plan, market: Market, prefix: str) -> Iterator[tuple[int, Request]]:
    """(nanoseconds after the start, request) of this part; client order ids begin with `prefix`."""
    streams = []
    if plan.orders_per_s:
        streams.append(_orders(plan, market, prefix))
    if plan.reads_per_s:
        streams.append(_reads(plan))
    merged = heapq.merge(*streams, key=lambda each: each[0])
    return (each for number, each in enumerate(merged) if number % plan.parts == plan.part)


def _orders(plan: Plan, market: Market, prefix: str) -> Iterator[tuple[int, Request]]:
    """Pairs that meet come one after the other, either side first. Of two keys the first sells and the second buys."""
    draw = random.Random(plan.seed)  # noqa: S311  # nosec B311 # traffic, not secrets
    open_side: tuple[str, int] | None = None
    for number, due_ns in enumerate(arrivals(plan.orders_per_s, plan, 1)):
        pair = number // 2
        meets = (pair + 1) * plan.fills_percent // 100 > pair * plan.fills_percent // 100
        if not meets:
            side = draw.choice(("BUY", "SELL"))
            account = draw.randrange(len(plan.keys))
            price = market.resting_price(side, draw.randrange(LEVELS))
        else:
            if open_side is None:
                side = draw.choice(("BUY", "SELL"))
                account = 2 * draw.randrange(len(plan.keys) // 2) + (side == "BUY")
                open_side = side, account
            else:
                side = "SELL" if open_side[0] == "BUY" else "BUY"
                account = open_side[1] ^ 1
                open_side = None
            price = market.meeting_price
        client_id = f"{prefix}{number}"
        params = {
            "symbol": market.symbol, "side": side, "type": "LIMIT", "timeInForce": "GTC", "price": price,
            "quantity": market.amount, "newClientOrderId": client_id,
        }  # fmt: skip
        yield (
            due_ns,
            Request(ORDERS, "POST", "/api/v3/order", "order.place", params, account, client_id, rests=not meets),
        )


def _reads(plan: Plan) -> Iterator[tuple[int, Request]]:
    wanted = []
    for name in plan.reads:
        path, ws, params = READS[name]
        wanted.append(Request(READ, "GET", path, ws, {"symbol": plan.symbol, **params}))
    for number, due_ns in enumerate(arrivals(plan.reads_per_s, plan, 2)):
        yield due_ns, wanted[number % len(wanted)]


def cancel_of(order: Request) -> Request:
    params = {"symbol": order.params["symbol"], "origClientOrderId": order.client_id}
    return Request(CANCELS, "DELETE", "/api/v3/order", "order.cancel", params, order.account, order.client_id)
