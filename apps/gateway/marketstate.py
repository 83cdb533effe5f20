"""A market's state as clients see it: `GET marketState` and the stream of that name, both ours. Pure.

`status` is the dialect's word and `marketState` the exact one, as in exchangeInfo. Both follow PostgreSQL; why and
until when comes from market data, which may be ahead for a moment, and is left out until the two agree.
"""

from typing import Any

from apps.gateway.book import PublicMarket
from apps.gateway.dialect import STATE_STATUS
from apps.gateway.markets import Market
from apps.streams.kinds import HaltCause


def state_of(market: Market, public: PublicMarket | None) -> dict[str, Any]:
    """`until` is when a timer ends the state, null where none does; times in milliseconds."""
    told = {"status": STATE_STATUS[market.state], "marketState": market.state.name, "cause": None, "until": None}
    record = public.state if public is not None else None
    if record is not None and record["state"] == market.state:
        told["cause"] = HaltCause(record["cause"]).name
        told["until"] = record["until"] or None
    return told
