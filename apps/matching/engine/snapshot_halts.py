"""Rows of a snapshot about breakers and halts: their rules, what the windows have seen, states that end by a timer.

Canonical: windows and halts only as far as they still count at the engine's time. A VWAP value is a 128-bit number.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from apps.matching.engine.breaker import Distance
from apps.matching.engine.breaker_window import BucketRow
from apps.matching.engine.halt import recent_halts
from apps.matching.engine.snapshot_tables import Row, Rows
from apps.matching.engine.state import State
from apps.streams.messages import BreakerRule

_HALF: Final = 2**64


def halt_rows(state: State) -> dict[str, Iterator[Row]]:
    """By table."""
    markets, now_ms = [market for _, market in sorted(state.markets.items())], state.journal.now_ms
    windows = [
        (market.market_id, rule.rule_id, before, buckets)
        for market in markets
        if market.breaker is not None
        for rule, before, buckets in market.breaker.rows(now_ms, market.last_price_ticks)
    ]
    return {
        "breakers": (
            (market.market_id, rule.rule_id, rule.measure, rule.bp, rule.window_ms, rule.halt_s)
            for market in markets
            for rule in market.settings.breaker_rules
        ),
        "breaker_befores": ((market_id, rule_id, before) for market_id, rule_id, before, _ in windows if before),
        "breaker_buckets": (
            (market_id, rule_id, *row[:4], *divmod(row.value, _HALF), row.lots)
            for market_id, rule_id, _, buckets in windows
            for row in buckets
        ),
        "breaker_halts": (
            (market.market_id, begun_ms) for market in markets for begun_ms in recent_halts(market, now_ms)
        ),
        "market_timers": (
            (market.market_id, market.until_ms, market.reopens_ms, market.rule_id, market.timer_seq)
            for market in markets
            if market.timer_seq
        ),
        "halt_distances": ((market.market_id, *market.told, market.told_ms) for market in markets if market.told_ms),
        "auctions": (
            (market_id, market.extensions, market.auction_ticks, market.auction_lots)
            for market_id, market in sorted(state.auctions.items())
        ),
    }


def read_breakers(tables: Rows) -> dict[int, dict[str, Any]]:
    """The setting `breaker_rules` of each market that has it."""
    return {
        market_id: {"breaker_rules": [BreakerRule(*rule) for _, *rule in rows]}
        for market_id, rows in groupby(tables["breakers"], key=lambda row: row[0])
    }


def restore_halts(state: State, tables: Rows) -> None:
    """Into markets that have their settings."""
    windows = {
        (market_id, window.rule.rule_id): window
        for market_id, market in state.markets.items()
        if market.breaker is not None
        for window in market.breaker.windows
    }
    for window in windows.values():
        window.restart(0)
    for market_id, rule_id, before in tables["breaker_befores"]:
        windows[market_id, rule_id].before = before
    for market_id, rule_id, k, low, high, last, value_high, value_low, lots in tables["breaker_buckets"]:
        windows[market_id, rule_id].put_back(BucketRow(k, low, high, last, value_high * _HALF + value_low, lots))
    for market_id, begun_ms in tables["breaker_halts"]:
        state.markets[market_id].halts.append(begun_ms)
    for market_id, until_ms, reopens_ms, rule_id, seq in tables["market_timers"]:
        market = state.markets[market_id]
        market.until_ms, market.reopens_ms, market.rule_id, market.timer_seq = until_ms, reopens_ms, rule_id, seq
        state.timers.add(until_ms, seq, market)
    for market_id, *told, told_ms in tables["halt_distances"]:
        market = state.markets[market_id]
        market.told, market.told_ms = Distance(*told), told_ms
    for market_id, extensions, auction_ticks, auction_lots in tables["auctions"]:
        market = state.auctions[market_id] = state.markets[market_id]
        market.extensions, market.auction_ticks, market.auction_lots = extensions, auction_ticks, auction_lots
    state.auctions_seen = state.journal.seq
