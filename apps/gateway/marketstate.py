"""A market's state as clients see it: `GET marketState` and the stream of that name, both ours. Pure.

`status` is the dialect's word and `marketState` the exact one, as in exchangeInfo. Market data hears of a state from
the engine, PostgreSQL from settlement: either may be behind or stand still, and what the later event brought is told.
Only market data knows why and until when.
"""

from typing import Any

from apps.gateway.book import PublicMarket, Record
from apps.gateway.dialect import STATE_STATUS
from apps.gateway.markets import Market
from apps.streams.kinds import HaltCause, MarketState


def newest_record(market: Market, public: PublicMarket | None) -> Record | None:
    """The state of market data, where it is at least as new as PostgreSQL's."""
    record = public.state if public is not None else None
    # Without `u` it was written before the last upgrade.
    return record if record is not None and record.get("u", 0) >= market.state_seq else None


def newest_state(market: Market, public: PublicMarket | None) -> MarketState:
    record = newest_record(market, public)
    return market.state if record is None else MarketState(record["state"])


def state_of(market: Market, public: PublicMarket | None) -> dict[str, Any]:
    """`until` is when a timer ends the state, `resumesAt` when the market is open again, `rule` the circuit breaker
    that halted it. `indicative*` is what a call auction would trade now, `halt*` the nearest prices that would halt the
    market. null where there is none; times in milliseconds.
    """
    state = newest_state(market, public)
    told: dict[str, Any] = {
        "status": STATE_STATUS[state], "marketState": state.name, "cause": None, "rule": None, "until": None,
        "resumesAt": None, "indicativePrice": None, "indicativeQty": None, "haltAbove": None, "haltBelow": None,
    }  # fmt: skip
    record = newest_record(market, public)
    if public is None or record is None:
        return told
    cause = HaltCause(record["cause"])
    told["cause"] = cause.name if cause and state is not MarketState.OPEN else None
    for name, of_record in (("rule", "rule"), ("until", "until"), ("resumesAt", "reopens")):
        told[name] = record.get(of_record) or None
    auction, distance = public.auction, public.distance
    if state is MarketState.AUCTION and auction is not None and auction["q"]:
        told |= {"indicativePrice": market.price(auction["p"]), "indicativeQty": market.quantity(auction["q"])}
    if state is MarketState.OPEN and distance is not None:
        told["haltAbove"] = market.price(distance["up"]) if distance["up"] else None
        told["haltBelow"] = market.price(distance["down"]) if distance["down"] else None
    return told
