"""What traders are subject to now, as the site's pages and commands show it."""

from collections.abc import Iterable
from typing import NamedTuple

from apps.markets.currentstate import newest
from apps.markets.marketdata import wire
from apps.markets.models import Market
from apps.streams.names import market_data_states
from apps.web.api.edge import EdgeDown, edge


class CurrentMarkets(NamedTuple):
    """`is_live` is False where market data is silent: then states are as old as the settled record."""

    markets: list[Market]
    is_live: bool


def with_current_states(found: Iterable[Market]) -> CurrentMarkets:
    """Rows, of any shard, whose state is the one of now: to be shown, never to be saved.

    Market data tells of a change within a second.
    """
    markets = list(found)
    keys = [market_data_states(shard) for shard in sorted({market.shard for market in markets})]
    told: list[bytes | None] = []
    if keys:
        try:
            told = edge().ask(lambda client: client.mget(keys))
        except EdgeDown:
            told = [None]
    heard = {record["m"]: record for data in told if data is not None for record in wire.decode(data)}
    for market in markets:
        record = newest(heard.get(market.id), market)
        market.state, market.state_cause, market.state_seq = record["state"], record["cause"], record["u"]
        market.state_until_ms = record["until"]
        market.state_reopens_ms, market.state_rule_id = record["reopens"], record["rule"]
    return CurrentMarkets(markets, None not in told)
