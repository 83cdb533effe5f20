"""Public answers as bytes, built once for each state of a market and served until its next record."""

from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec

from apps.gateway.book import PublicMarket
from apps.gateway.markets import Market

# Of one market and state: many limits of a quiet market must not stay for ever.
KEPT_MAX: Final = 16
_encode: Final = msgspec.json.Encoder().encode


def prebuilt(
    market: Market, state: PublicMarket, name: Hashable, build: Callable[[Market, PublicMarket], Any]
) -> msgspec.Raw:
    """What `build` makes of the market, as JSON; `name` tells it from other answers and their parameters."""
    key = (name, market.settings_version)
    answer = state.answers.get(key)
    if answer is None:
        if len(state.answers) >= KEPT_MAX:
            state.answers.clear()
        answer = state.answers[key] = msgspec.Raw(_encode(build(market, state)))
    return answer
