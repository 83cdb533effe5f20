"""Worked classics: what every engineer of an exchange asks first, as tables. Each ends with a trial balance."""

from typing import Any, NamedTuple

import pytest

from tests.matching.engine.play import Table


class Classic(NamedTuple):
    name: str
    script: str
    settings: dict[str, Any] = {}


BIDS = """
    bid   b1  alice  50950  0.5
    bid   b2  bob    50940  1.0
    bid   b3  bob    50930  2.5
"""
ASKS = """
    ask   a1  dave   51000  1.2
    ask   a2  erin   51100  0.8
    ask   a3  erin   51200  0.3
"""
OWN_ICEBERG = """
    ask   a1  bob    50000  0.2
    ask   a2  carol  50000  0.5 show 0.2
    ask   a3  dave   50000  0.1
"""

CLASSICS = (
    # -- T2 in its variants --------------------------------------------------------------------------------------------
    Classic("T2, market sell", BIDS + ASKS + """
        sell  s1  carol  market 0.7  -> trade b1 50950 0.5, trade b2 50940 0.2, done
        book                         -> bids 50940 x 0.8 50930 x 2.5, asks 51000 x 1.2 51100 x 0.8 51200 x 0.3
    """),
    Classic("T2, limit sell at the best bid", BIDS + """
        ask   s1  carol  50950  0.7  -> trade b1 50950 0.5, rests 0.2
        book                         -> bids 50940 x 1 50930 x 2.5, asks 50950 x 0.2
    """),
    Classic("T2, limit sell at the second bid", BIDS + """
        ask   s1  carol  50940  0.7  -> trade b1 50950 0.5, trade b2 50940 0.2, done
    """),
    Classic("T2, limit sell far below prints at the makers' prices", BIDS + """
        ask   s1  carol  40000  0.7  -> trade b1 50950 0.5, trade b2 50940 0.2, done
        balance carol USDT           -> 1035663 available, 0 held
    """),
    Classic("T2, limit buy fills at the lower ask first", ASKS + """
        bid   p1  carol  51100  1.5  -> trade a1 51000 1.2, trade a2 51100 0.3, done
        balance carol USDT           -> 923470 available, 0 held
    """),
    Classic("T2, market buy over all asks expires with a reason", ASKS + """
        buy   p1  carol  market 3    -> trade a1 51000 1.2, trade a2 51100 0.8, trade a3 51200 0.3, \
                        expired no_liquidity
        book                         -> empty
    """),
    Classic("T2, the same price: first come, first served", BIDS + """
        bid   b4  dave   50950  0.5
        sell  s1  carol  market 0.7  -> trade b1 50950 0.5, trade b4 50950 0.2, done
    """),
    # -- icebergs, FOK, budgets ----------------------------------------------------------------------------------------
    Classic("a refill stands behind a newer order", """
        ask   a1  alice  50000  0.3 show 0.1
        ask   a2  bob    50000  0.1
        buy   p1  carol  market 0.15 -> trade a1 50000 0.1, refill a1 0.1, trade a2 50000 0.05, done
        buy   p2  carol  market 0.1  -> trade a2 50000 0.05, trade a1 50000 0.05, done
        book                         -> asks 50000 x 0.05
    """),
    Classic("FOK counts hidden lots, and nothing happens where it is short", """
        ask   a1  alice  50000  0.5 show 0.1
        bid   p1  carol  50000  0.6 fok -> expired no_liquidity
        book                         -> asks 50000 x 0.1
        bid   p2  carol  50000  0.5 fok -> trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, refill a1 0.1, \
                        trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, done
    """),
    Classic("a quote budget leaves dust, which is given back", """
        ask   a1  alice  30000.01 1
        buy   p1  carol  spend  1000 -> trade a1 30000.01 0.03333, filled budget_spent
        balance carol USDT           -> 999000.0996667 available, 0 held
    """),
    Classic("a budget that buys no lot is refused", """
        ask   a1  alice  50000  1
        buy   p1  carol  spend  0.49 -> rejected lot_size
    """),
    # -- self-trade prevention, each mode with a fill before it and an iceberg -----------------------------------------
    Classic("EXPIRE_TAKER: what filled before stands", OWN_ICEBERG + """
        bid   p1  carol  50000  0.6 stp expire_taker -> trade a1 50000 0.2, prevented a2 0.2, \
                        expired_in_match self_trade
        book                         -> asks 50000 x 0.3
        balance carol BTC            -> 99.7 available, 0.5 held
    """),
    Classic("EXPIRE_MAKER: the iceberg ends with its reserve, the sweep goes on", OWN_ICEBERG + """
        bid   p1  carol  50000  0.6 stp expire_maker -> trade a1 50000 0.2, prevented a2 0.2, \
                        expired_in_match a2 self_trade, trade a3 50000 0.1, rests 0.3
        balance carol BTC            -> 100.3 available, 0 held
    """),
    Classic("EXPIRE_BOTH: nobody is left", OWN_ICEBERG + """
        bid   p1  carol  50000  0.6 stp expire_both  -> trade a1 50000 0.2, prevented a2 0.2, \
                        expired_in_match a2 self_trade, expired_in_match self_trade
        book                         -> asks 50000 x 0.1
        balance carol BTC            -> 100.2 available, 0 held
        balance carol USDT           -> 990000 available, 0 held
    """),
    Classic("DECREMENT: the tip is taken off, its refill stands at the back", OWN_ICEBERG + """
        bid   p1  carol  50000  0.6 stp decrement -> trade a1 50000 0.2, prevented a2 0.2, refill a2 0.2, \
                        trade a3 50000 0.1, prevented a2 0.1, expired_in_match self_trade
        book                         -> asks 50000 x 0.1
        balance carol BTC            -> 100.1 available, 0.2 held
    """),
    # -- stops ---------------------------------------------------------------------------------------------------------
    Classic("a cascade down", """
        bid   b1  bob    50000  0.1
        bid   b2  bob    49000  0.1
        bid   b3  bob    48000  0.1
        bid   b4  bob    47000  0.1
        sell  s1  alice  market 0.1 stop 49500 -> waits
        sell  s2  alice  market 0.1 stop 48500 -> waits
        sell  s3  alice  market 0.1 stop 49000 -> waits
        sell  p1  carol  market 0.2  -> trade b1 50000 0.1, trade b2 49000 0.1, done, triggered s1, triggered s3, \
                        trade b3 48000 0.1 by s1, done s1, triggered s2, trade b4 47000 0.1 by s3, done s3, \
                        expired s2 no_liquidity
    """, {"initial_price_ticks": 5_100_000}),
    Classic("a cascade up", """
        ask   a1  bob    52000  0.1
        ask   a2  bob    53000  0.1
        ask   a3  bob    54000  0.1
        buy   s1  alice  market 0.1 stop 52000 -> waits
        buy   s2  alice  market 0.1 stop 53000 -> waits
        buy   p1  carol  market 0.1  -> trade a1 52000 0.1, done, triggered s1, trade a2 53000 0.1 by s1, done s1, \
                        triggered s2, trade a3 54000 0.1 by s2, done s2
        balance alice USDT           -> 989300 available, 0 held
    """, {"conditional_buffer_bp": 500}),
    # -- order lists ---------------------------------------------------------------------------------------------------
    Classic("the race of an OCO: the first print of either leg ends the other", """
        bid   b1  bob    50000  0.1
        oco l1 / ask a1 alice 51000 0.3 maker / sell a2 alice market 0.3 stop 49500
        balance alice BTC            -> 99.7 available, 0.3 held
        buy   p1  carol  market 0.1  -> trade a1 51000 0.1, done, expired a2 list_ended
        sell  p2  carol  market 0.1  -> trade b1 50000 0.1, done
        balance alice BTC            -> 99.7 available, 0.2 held
    """),
    Classic("the race of an OCO: the trigger ends the limit before it could print", """
        bid   b1  bob    49500  0.1
        bid   b2  bob    49000  0.3
        oco l1 / ask a1 alice 51000 0.3 maker / sell a2 alice market 0.3 stop 49500
        sell  p1  carol  market 0.1  -> trade b1 49500 0.1, done, triggered a2, expired a1 list_ended, \
                        trade b2 49000 0.3 by a2, done a2, list done
        balance alice BTC            -> 99.7 available, 0 held
        buy   p2  carol  market 0.1  -> expired no_liquidity
    """),
    # -- amendments, rebates -------------------------------------------------------------------------------------------
    Classic("an amendment never gains a place, nor quantity", """
        bid   b1  alice  50000  0.5
        bid   b2  bob    50000  0.5
        amend b2 0.6                 -> amend rejected amend_quantity
        amend b2 0.5                 -> amend rejected amend_quantity
        amend b2 0.1                 -> amended b2 0.1
        amend b1 0.4                 -> amended b1 0.4
        sell  s1  carol  market 0.45 -> trade b1 50000 0.4, trade b2 50000 0.05, done
    """),
    Classic("a rebate above nine tenths of the lowest taker rate is refused", """
        fees -900:1000 0:1000        -> applied
        fees -901:1000 0:1000        -> refused invalid_settings
        fees -900:1000 0:999         -> refused invalid_settings
    """),
    Classic("a rebate is paid from the taker's fee", """
        fees -900:1000
        ask   a1  alice  50000  0.1
        buy   p1  carol  market 0.1  -> trade a1 50000 0.1, done
        balance alice BTC            -> 99.90009 available, 0 held
        fees-of BTC                  -> 0.00001
    """),
)  # fmt: skip


@pytest.mark.parametrize("classic", CLASSICS, ids=lambda classic: classic.name)
def test_classic(engine_class: Any, classic: Classic) -> None:
    table = Table(made_by=engine_class, **classic.settings)
    table.play(classic.script)
    assert_trial_balance(table)


def assert_trial_balance(table: Table) -> None:
    """Of each asset: what all accounts have and the fees are what came in."""
    for asset in table.engine.assets():
        mine = [row for row in table.engine.balances() if row.asset_id == asset.asset_id]
        assert sum(row.available_units + row.held_units for row in mine) + asset.fee_units == asset.external_units


@pytest.mark.parametrize("classic", CLASSICS, ids=lambda classic: classic.name)
def test_a_restart_after_any_line_changes_nothing(engine_class: Any, classic: Classic) -> None:
    """The same commands, with a snapshot and a new engine between any two of them."""
    table = Table(made_by=engine_class, **classic.settings)
    table.play(classic.script)
    restarted = engine_class(1_000_000)
    for frames in table.log:
        restarted.process(frames)
        restarted = engine_class.restore(restarted.snapshot())
    assert restarted.state_hash() == table.engine.state_hash()
