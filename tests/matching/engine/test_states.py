"""T10: what each market state lets through (the table of matching-rules.md section 9)."""

import pytest

from apps.matching.engine.states import PASSES
from apps.streams.kinds import MarketState
from tests.matching.engine.play import Table

# state -> what a resting limit, a matching limit and a market order are answered
TABLE = {
    "OPEN": ("rested", "trade a1 51000 0.1, done", "trade a1 51000 0.1, done"),
    "POST_ONLY": ("rested", "rejected market_post_only", "rejected market_post_only"),
    "HALTED": ("rejected market_halted",) * 3,
    "CANCEL_ONLY": ("rejected market_cancel_only",) * 3,
    "CLOSED": ("rejected market_closed",) * 3,
}


@pytest.mark.parametrize("state", TABLE)
def test_new_orders(state: str) -> None:
    for line, expected in zip(
        ("bid n carol 50000 0.1", "bid n carol 51000 0.1", "buy n carol market 0.1"), TABLE[state], strict=True
    ):
        table = Table()
        table.play("ask a1 alice 51000 1\nbid b1 bob 49000 1")
        table.account("carol")
        table.answer(["state", state])
        before = table.state_but_seq()
        assert table.answer(line.split()) == expected
        if expected.startswith("rejected"):
            assert table.state_but_seq() == before
        table.engine.validate()


@pytest.mark.parametrize("state", ["OPEN", "POST_ONLY", "HALTED", "CANCEL_ONLY"])
def test_cancels_and_money_pass(state: str) -> None:
    table = Table()
    table.play(
        f"""
        ask  a1 alice 51000 1
        bid  b1 bob 49000 1
        bid  b2 bob 48000 1
        state {state}
        cancel a1                     -> canceled a1
        cancel-all bob                -> canceled b1, canceled b2, 2 canceled
        fund bob 1 USDT               -> moved
        withdraw bob 1 USDT           -> moved
        hold k bob 1 USDT             -> moved
        release k bob USDT            -> moved
        transfer bob 1 USDT alice     -> moved
        """
    )


def test_a_market_that_was_never_opened_takes_no_orders() -> None:
    table = Table()
    table.engine._state.markets[1].state = MarketState.PRE_LAUNCH
    table.play("bid b1 alice 50000 0.1 -> rejected market_not_open")


def test_the_book_stays_through_a_halt() -> None:
    table = Table()
    table.play(
        """
        ask  a1 alice 51000 1
        state HALTED                  -> OPEN to HALTED
        state CANCEL_ONLY             -> HALTED to CANCEL_ONLY
        state OPEN                    -> CANCEL_ONLY to OPEN
        buy  p1 bob market 1          -> trade a1 51000 1, done
        """
    )


def test_every_state_has_a_row() -> None:
    assert set(PASSES) == set(MarketState)
