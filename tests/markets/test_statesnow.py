"""What the site shows of market states: market data's word, or the settled record's where that is newer or alone."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.test import Client

from apps.markets.marketdata import edge, wire
from apps.markets.marketdata.edge import Edge
from apps.markets.models import Market
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.names import market_data_states
from apps.web.api import edge as asked
from tests.markets.conftest import NO_EDGE
from tests.markets.test_admin import staff

__all__ = ["staff"]

# Of no other test: exchanges of other tests write on the same redis-edge.
SHARD = "statesnow"
SETTLED_SEQ = 20
LASTS_MS = 3_600_000
REOPENS_MS = 1_795_348_800_000
SILENT = "Market data is silent"


@pytest.fixture
def on_edge(redis_edge_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_edge_url) as client:
        yield client


@pytest.fixture
def settled(
    btcusdt: Market, on_edge: redis.Redis, redis_edge_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Market]:
    """Open, as event 20 had it. No machine is too slow to show what market data wrote once, or to ask redis-edge."""
    monkeypatch.setattr(edge, "SILENT_MS", LASTS_MS)
    monkeypatch.setattr(asked, "EDGE_TIMEOUT_S", 60.0)
    asked.edge_at.cache_clear()
    settings.REDIS_EDGE_URL = redis_edge_url
    on_edge.delete(market_data_states(SHARD))
    Market.objects.update(shard=SHARD, state=MarketState.OPEN, state_seq=SETTLED_SEQ)
    yield btcusdt
    asked.edge_at.cache_clear()


def hear(url: str, seq: int) -> None:
    """Market data tells of a halt."""
    told = wire.state(
        1, seq=seq, new_state=MarketState.HALTED, cause=HaltCause.BREAKER, until_ms=REOPENS_MS - 60_000,
        reopens_ms=REOPENS_MS, rule_id=9,
    )  # fmt: skip
    writer = Edge(url, SHARD)
    writer.write_snapshots([], [told])
    writer.close()


def pages(client: Client) -> list[str]:
    """The list of markets, the page of the switches, and what the command prints."""
    printed = StringIO()
    call_command("switch", stdout=printed)
    shown = [client.get(f"/admin/{name}/").content.decode() for name in ("markets/market", "controls/switch")]
    return [*shown, printed.getvalue()]


def test_the_site_shows_what_market_data_heard_while_settlement_is_behind(
    settled: Market, staff: Client, redis_edge_url: str
) -> None:
    hear(redis_edge_url, SETTLED_SEQ + 1)
    listed, switches, printed = pages(staff)
    for shown in (listed, switches):
        assert ">Halted</td>" in shown
        assert ">Circuit breaker</td>" in shown
    for shown in (listed, switches, printed):
        assert "call auction 2026-11-22 11:59:00 UTC, reopens 2026-11-22 12:00:00 UTC" in shown
        assert SILENT not in shown
    assert Market.objects.get().state == MarketState.OPEN, "showing it writes nothing"


def test_the_site_shows_the_settled_state_while_market_data_is_behind(
    settled: Market, staff: Client, redis_edge_url: str
) -> None:
    hear(redis_edge_url, SETTLED_SEQ - 1)
    for shown in pages(staff):
        assert "reopens" not in shown
        assert SILENT not in shown


def test_without_market_data_the_site_shows_the_settled_state_and_says_so(
    settled: Market, staff: Client, redis_edge_url: str, settings: Any
) -> None:
    """Nothing was written for a while, or redis-edge does not answer."""
    for url in (redis_edge_url, NO_EDGE):
        settings.REDIS_EDGE_URL = url
        for shown in pages(staff):
            assert SILENT in shown


def test_the_states_end_by_themselves(settled: Market, on_edge: redis.Redis, redis_edge_url: str) -> None:
    hear(redis_edge_url, SETTLED_SEQ)
    assert 0 < on_edge.pttl(market_data_states(SHARD)) <= LASTS_MS
