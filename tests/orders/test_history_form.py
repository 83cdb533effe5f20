"""The filters of the pages and files of orders and trades: what is none is refused, at the field that is wrong."""

from zoneinfo import ZoneInfo

import pytest

from apps.accounts.models import TradingAccount
from apps.markets.models import Market
from apps.orders.history import Filter
from apps.orders.historyforms import HistoryForm
from apps.streams.kinds import Side


def form(sent: dict[str, str], *, with_state: bool = True) -> HistoryForm:
    """Of a user with accounts 1001 and 1002, where there is market 1."""
    accounts = [TradingAccount(pk=1001, label="Main"), TradingAccount(pk=1002, label="Desk")]
    return HistoryForm(sent, accounts=accounts, markets=[Market(pk=1, symbol="BTCUSDT")], with_state=with_state)


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("account", {"account": "1"}), ("account", {"account": "x"}), ("market", {"market": "2"}),
        ("side", {"side": "both"}), ("since", {"since": "2026-13-01"}), ("until", {"until": "yesterday"}),
        ("until", {"since": "2026-11-22", "until": "2026-11-21"}),
        ("until", {"until": "9999-12-31"}), ("since", {"since": "0001-01-01"}),
    ],
)  # fmt: skip
def test_what_is_no_filter_says_so(field: str, wrong: dict[str, str], with_state: bool) -> None:
    refused = form(wrong, with_state=with_state)
    assert not refused.is_valid()
    assert refused.errors.keys() == {field}


def test_a_state_is_for_orders_alone() -> None:
    assert form({"state": "lost"}).errors.keys() == {"state"}
    assert form({"state": "lost"}, with_state=False).is_valid()


def test_what_is_sent_is_what_is_chosen() -> None:
    """Days are whole days of the zone: from its midnight to the next one."""
    sent = {"account": "1002", "market": "1", "side": "sell", "since": "2026-11-22", "until": "2026-11-22"}
    filled = form(sent | {"state": "filled"})
    assert filled.is_valid()
    from_ms = 1_795_284_900_000  # 2026-11-21 18:15 UTC
    assert filled.chosen(ZoneInfo("Asia/Kathmandu")) == Filter(
        accounts=[1002], markets=[1], side=Side.SELL, state="filled", from_ms=from_ms, to_ms=from_ms + 86_400_000
    )
    nothing = form({})
    assert nothing.is_valid()
    assert nothing.chosen(ZoneInfo("UTC")) == Filter(accounts=[1001, 1002], markets=[1])
