"""Which state is told: what market data heard from the engine, or what settlement wrote (marketstate.py)."""

from types import SimpleNamespace
from typing import Any

import pytest

from apps.gateway.book import PublicMarket
from apps.gateway.marketstate import state_of
from apps.markets.marketdata import wire
from apps.streams.kinds import HaltCause, MarketState

SETTLED_SEQ = 20


def told(public: PublicMarket | None) -> tuple[str, str, str | None, int | None]:
    settled: Any = SimpleNamespace(state=MarketState.OPEN, state_seq=SETTLED_SEQ)
    answer = state_of(settled, public)
    return answer["status"], answer["marketState"], answer["cause"], answer["until"]


def heard(seq: int) -> PublicMarket:
    halted = wire.state(1, seq=seq, new_state=MarketState.HALTED, cause=HaltCause.BREAKER, until_ms=5)
    return PublicMarket(1, state=halted)


@pytest.mark.parametrize("seq", [SETTLED_SEQ, SETTLED_SEQ + 1])
def test_market_data_is_told_while_settlement_is_behind(seq: int) -> None:
    assert told(heard(seq)) == ("HALT", "HALTED", "BREAKER", 5)


@pytest.mark.parametrize("public", [None, PublicMarket(1), heard(SETTLED_SEQ - 1)])
def test_settlement_is_told_while_market_data_is_behind(public: PublicMarket | None) -> None:
    assert told(public) == ("TRADING", "OPEN", None, None)
