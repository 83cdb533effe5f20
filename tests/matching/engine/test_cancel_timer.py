"""T4: cancel-all-after, a timer per account."""

from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.cancel_timer import TIMEOUT_MS_MAX
from apps.streams.commands import SetCancelTimer, Tick
from apps.streams.events import CancelRejected, CancelTimerSet
from apps.streams.kinds import Reason, TimerFlag
from tests.matching.engine.play import MARKET, Table, play


def test_it_cancels_everything_of_the_account_and_of_no_other() -> None:
    play(
        """
        bid  b1 alice 50000 0.1
        ask  a1 alice 52000 0.1 show 0.05
        bid  b2 bob   50000 0.1
        cancel-after alice 5          -> timer set
        bid  b3 alice 49000 0.1
        wait 5                        -> canceled b1 by timer, canceled a1 by timer, canceled b3 by timer, timer fired
        balance alice USDT            -> 1000000 available, 0 held
        balance alice BTC             -> 100 available, 0 held
        book                          -> bids 50000 x 0.1
        bid  b4 alice 50000 0.1       -> rested
        wait 100                      -> nothing
        """
    )


def test_set_anew_and_cleared() -> None:
    play(
        """
        bid  b1 alice 50000 0.1
        cancel-after alice 5          -> timer set
        cancel-after alice 3          -> timer set
        cancel-after alice 60         -> timer set
        wait 50                       -> nothing
        cancel-after alice 0          -> timer cleared
        cancel-after alice 0          -> timer cleared
        wait 50                       -> nothing
        cancel b1                     -> canceled b1
        """
    )


def test_it_fires_without_orders_and_in_every_market_state() -> None:
    play("fund alice 1 USDT\ncancel-after alice 5\nwait 5 -> timer fired\nwait 5 -> nothing")
    for state in ("POST_ONLY", "HALTED", "CANCEL_ONLY"):
        play(
            f"""
            bid b1 alice 50000 0.1
            cancel-after alice 5
            state {state}
            wait 5                    -> canceled b1 by timer, timer fired
            """
        )


def test_it_takes_its_turn_among_the_timers() -> None:
    """At one time the timer that was created first runs first."""
    for first, answer in (
        (True, "expired b1 expired_by_time, timer fired"),
        (False, "canceled b1 by timer, timer fired"),
    ):
        table = Table()
        table.account("alice")
        due_ms = table.now_ms + 1_000
        for step in (1, 2):
            if (step == 1) == first:
                table.place(
                    "b1", "alice", side=0, order_kind=1, time_in_force=4, price_ticks=5_000_000, quantity_lots=10,
                    expires_ms=due_ms, client_id="b1",
                )  # fmt: skip
            else:
                table.send(SetCancelTimer(account_id=table.account("alice"), timeout_ms=due_ms - table.now_ms - 1))
        table.now_ms = due_ms - 1
        assert table.answer(["tick"]) == answer
        table.engine.validate()


def test_the_event_says_when_and_a_snapshot_keeps_it() -> None:
    table = play("bid b1 alice 50000 0.1\ncancel-after alice 9")
    (event,) = table.send(SetCancelTimer(account_id=table.account("alice"), timeout_ms=700))
    assert isinstance(event, CancelTimerSet)
    assert (event.account_id, event.due_ms, event.flags) == (table.accounts["alice"], table.now_ms + 700, 0)
    table.engine = Engine.restore(table.engine.snapshot())
    table.engine.validate()
    table.now_ms += 699
    closed, fired = table.send(Tick())
    assert Reason(closed.reason) is Reason.CANCELED_BY_TIMER
    assert (fired.due_ms, fired.flags) == (0, TimerFlag.FIRED)


def test_who_sets_it_every_second_keeps_no_old_ones() -> None:
    table = Table()
    for _ in range(500):
        table.answer(["cancel-after", "alice", "60"])
        table.engine.validate()
    assert len(table.engine._state.timers.heap) <= 70


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"timeout_ms": TIMEOUT_MS_MAX + 1}, Reason.MALFORMED),
        ({"timeout_ms": 2**64 - 1}, Reason.MALFORMED),
        ({"market_id": MARKET}, Reason.MALFORMED),
        ({"flags": 1}, Reason.MALFORMED),
        ({"parts": 2}, Reason.MALFORMED),
        ({"account_id": 999}, Reason.UNKNOWN_ACCOUNT),
    ],
)
def test_refusals(command: dict[str, Any], reason: Reason) -> None:
    table = play("bid b1 alice 50000 0.5\ncancel-after alice 60")
    before = table.state_but_seq()
    (event,) = table.send(SetCancelTimer(**({"account_id": table.account("alice"), "timeout_ms": 5} | command)))
    assert isinstance(event, CancelRejected)
    assert Reason(event.reason) is reason
    assert table.state_but_seq() == before
