"""A market's state as clients see it: `GET marketState` and the stream of that name, both ours. Pure.

`status` is the dialect's word and `marketState` the exact one, as in exchangeInfo. Whether market data or PostgreSQL
is believed: markets/currentstate.py. What an auction would trade and the distance to a halt, only market data knows.
"""

from typing import Any

from apps.gateway.book import PublicMarket
from apps.gateway.dialect import STATE_STATUS
from apps.gateway.markets import Market
from apps.markets.currentstate import is_newest, newest
from apps.streams.kinds import HaltCause, MarketState


def newest_state(market: Market, public: PublicMarket | None) -> MarketState:
    return MarketState(newest(public.state if public is not None else None, market)["state"])


def state_of(market: Market, public: PublicMarket | None, stale_since_ms: int | None) -> dict[str, Any]:
    """`staleSince`: from then on public data may lack what happened (feedage.py), while orders go on as always.

    `until` is when a timer ends the state, `resumesAt` when the market is open again, `rule` the circuit breaker
    that halted it. `indicative*` is what a call auction would trade now, `halt*` the nearest prices that would halt the
    market. null where there is none; times in milliseconds.
    """
    heard = public.state if public is not None else None
    record = newest(heard, market)
    state, cause = MarketState(record["state"]), HaltCause(record["cause"])
    told: dict[str, Any] = {
        "status": STATE_STATUS[state],
        "marketState": state.name,
        "cause": cause.name if cause and state is not MarketState.OPEN else None,
        # Records of before the upgrade that brought them lack these two.
        "rule": record.get("rule") or None,
        "until": record["until"] or None,
        "resumesAt": record.get("reopens") or None,
        "indicativePrice": None, "indicativeQty": None, "haltAbove": None, "haltBelow": None,
        "staleSince": stale_since_ms,
    }  # fmt: skip
    if public is None or not is_newest(heard, market):
        return told
    auction, distance = public.auction, public.distance
    if state is MarketState.AUCTION and auction is not None and auction["q"]:
        told |= {"indicativePrice": market.price(auction["p"]), "indicativeQty": market.quantity(auction["q"])}
    if state is MarketState.OPEN and distance is not None:
        told["haltAbove"] = market.price(distance["up"]) if distance["up"] else None
        told["haltBelow"] = market.price(distance["down"]) if distance["down"] else None
    return told
