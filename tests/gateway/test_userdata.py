"""User data of an account whose two orders met: what DECREMENT released is told to both accounts of the family."""

from types import SimpleNamespace
from typing import Any, cast

from apps.gateway.markets import Markets
from apps.gateway.userdata import AccountFeed
from apps.streams.kinds import Side, StpMode
from apps.streams.records import PreventedMatch

BTC, USDT = SimpleNamespace(id=1, code="BTC"), SimpleNamespace(id=2, code="USDT")
MARKETS = cast(
    Markets,
    SimpleNamespace(
        by_id={1: SimpleNamespace(base=BTC, quote=USDT)}, asset_code=lambda asset_id: {1: "BTC", 2: "USDT"}[asset_id]
    ),
)
TAKER, MAKER = 7, 8


def told(account_id: int, mode: StpMode) -> list[tuple[str, str, str]]:
    """(asset, free, locked) of the positions that the account is told of."""
    feed = AccountFeed(account_id, MARKETS)
    feed.load(0, ())
    messages: list[dict[str, Any]] = []
    feed.sinks[messages.append] = lambda: None
    numbers = {"taker_available": 5 * 10**8, "taker_held": 10**8, "maker_available": 3 * 10**8, "maker_held": 2 * 10**8}
    feed.on_events(
        [
            PreventedMatch(
                market_id=1, seq=1, cmd_ms=9, cmd_n=0, cmd_index=0, account_id=TAKER, prevented_id=1, taker_order_id=2,
                maker_order_id=1, maker_account_id=MAKER, price_ticks=5, prevented_lots=1, stp_mode=mode,
                taker_side=Side.BUY, **numbers,
            )
        ]
    )  # fmt: skip
    return [(row["a"], row["f"], row["l"]) for message in messages for row in message["B"]]


def test_both_accounts_hear_of_what_was_released() -> None:
    assert told(TAKER, StpMode.DECREMENT) == [("USDT", "5.00000000", "1.00000000")]
    assert told(MAKER, StpMode.DECREMENT) == [("BTC", "3.00000000", "2.00000000")]


def test_the_other_modes_move_no_money() -> None:
    assert told(TAKER, StpMode.EXPIRE_MAKER) == told(MAKER, StpMode.EXPIRE_BOTH) == []
