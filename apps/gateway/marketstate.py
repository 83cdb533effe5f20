"""A market's state as clients see it: `GET marketState` and the stream of that name, both ours. Pure.

`status` is the dialect's word and `marketState` the exact one, as in exchangeInfo. Both follow PostgreSQL; why and
until when comes from market data, which may be ahead for a moment, and is left out until the two agree.
"""

from typing import Any

from apps.gateway.book import PublicMarket
from apps.gateway.dialect import STATE_STATUS
from apps.gateway.markets import Market
from apps.streams.kinds import HaltCause, MarketState


def state_of(market: Market, public: PublicMarket | None) -> dict[str, Any]:
    """`until` is when a timer ends the state, `resumesAt` when the market is open again, `rule` the circuit breaker
    that halted it. `indicative*` is what a call auction would trade now, `halt*` the nearest prices that would halt the
    market. null where there is none; times in milliseconds.
    """
    told: dict[str, Any] = {
        "status": STATE_STATUS[market.state], "marketState": market.state.name, "cause": None, "rule": None,
        "until": None, "resumesAt": None, "indicativePrice": None, "indicativeQty": None, "haltAbove": None,
        "haltBelow": None,
    }  # fmt: skip
    if public is None or public.state is None or public.state["state"] != market.state:
        return told
    cause = HaltCause(public.state["cause"])
    told["cause"] = cause.name if cause else None
    for name, of_record in (("rule", "rule"), ("until", "until"), ("resumesAt", "reopens")):
        told[name] = public.state.get(of_record) or None
    auction, distance = public.auction, public.distance
    if market.state is MarketState.AUCTION and auction is not None and auction["q"]:
        told |= {"indicativePrice": market.price(auction["p"]), "indicativeQty": market.quantity(auction["q"])}
    if market.state is MarketState.OPEN and distance is not None:
        told["haltAbove"] = market.price(distance["up"]) if distance["up"] else None
        told["haltBelow"] = market.price(distance["down"]) if distance["down"] else None
    return told
