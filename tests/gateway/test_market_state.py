"""Which state is told: what market data heard from the engine, or what settlement wrote (marketstate.py)."""

from types import SimpleNamespace
from typing import Any

import pytest

from apps.gateway.book import PublicMarket
from apps.gateway.marketstate import state_of
from apps.markets.marketdata import wire
from apps.streams.kinds import HaltCause, MarketState

SETTLED_SEQ = 20


NOTHING = {"indicativePrice": None, "indicativeQty": None, "haltAbove": None, "haltBelow": None, "staleSince": None}


def told(public: PublicMarket | None) -> dict[str, Any]:
    settled: Any = SimpleNamespace(
        id=1, state=MarketState.AUCTION, state_cause=HaltCause.BREAKER, state_until_ms=7, state_reopens_ms=8,
        state_rule_id=9, state_seq=SETTLED_SEQ,
    )  # fmt: skip
    return state_of(settled, public, None)


def heard(seq: int) -> PublicMarket:
    halted = wire.state(1, seq=seq, new_state=MarketState.HALTED, cause=HaltCause.STAFF, until_ms=5)
    return PublicMarket(1, state=halted, auction=wire.auction(1, price_ticks=1, lots=1))


@pytest.mark.parametrize("seq", [SETTLED_SEQ, SETTLED_SEQ + 1])
def test_market_data_is_told_while_settlement_is_behind(seq: int) -> None:
    assert told(heard(seq)) == {
        "status": "HALT", "marketState": "HALTED", "cause": "STAFF", "rule": None, "until": 5, "resumesAt": None,
        **NOTHING,
    }  # fmt: skip


@pytest.mark.parametrize("public", [None, PublicMarket(1), heard(SETTLED_SEQ - 1)])
def test_settlement_is_told_while_market_data_is_behind(public: PublicMarket | None) -> None:
    """With cause, rule and end, but without what market data knew of an auction before."""
    assert told(public) == {
        "status": "HALT", "marketState": "AUCTION", "cause": "BREAKER", "rule": 9, "until": 7, "resumesAt": 8,
        **NOTHING,
    }  # fmt: skip
