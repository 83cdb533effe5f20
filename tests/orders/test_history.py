"""Pages and files of orders and trades: the same rows as by reading everything, whoever's they are and however cut."""

import csv
import io
import re
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import TradingAccount, User
from apps.accounts.selectors import main_account
from apps.accounts.services.subaccounts import create_sub_account
from apps.common.amounts import format_units
from apps.markets.services import create_asset, create_market
from apps.orders import historyviews
from apps.orders.history import STATES, Filter, OwnTrade, all_orders, all_trades, orders_page, trades_page
from apps.orders.historyrows import ORDER_COLUMNS, TRADE_COLUMNS
from apps.orders.models import Order, Trade
from apps.orders.policy import ROWS_ON_A_PAGE
from apps.streams.kinds import Side
from tests.accounts.people import PASSWORD
from tests.gateway.filled import BUSY, FIRST_MS, QUIET, STEP_MS, fill, time_ms
from tests.markets.conftest import TERMS

pytestmark = pytest.mark.django_db
SIZE = 1_500
SEED = 20261122


@pytest.fixture
def past(db: None) -> None:
    connection.ensure_connection()
    fill(connection.connection, SIZE)


def wanted_orders(chosen: Filter) -> list[int]:
    """By looking at every row."""
    return [
        order.id
        for order in Order.objects.order_by("-id")
        if order.account_id in chosen.accounts
        and order.market_id in chosen.markets
        and (chosen.side is None or order.side == chosen.side)
        and (chosen.state is None or order.status in STATES[chosen.state])
        and (chosen.from_ms or 0) <= order.created_ms < (chosen.to_ms or 2**62)
    ]


def wanted_trades(chosen: Filter) -> list[tuple[int, bool]]:
    found = []
    for trade in Trade.objects.order_by("-id"):
        for own in (OwnTrade(trade, is_maker=False), OwnTrade(trade, is_maker=True)):
            if (
                own.account_id in chosen.accounts
                and trade.market_id in chosen.markets
                and (chosen.side is None or own.is_buyer == (chosen.side is Side.BUY))
                and (chosen.from_ms or 0) <= trade.time_ms < (chosen.to_ms or 2**62)
            ):
                found.append((trade.id, own.is_maker))
    return found


def some_filter(rng: Random) -> Filter:
    times = sorted(FIRST_MS + rng.randrange(-5, SIZE + 5) * STEP_MS + rng.choice((0, 1)) for _ in range(2))
    return Filter(
        accounts=rng.choice(([BUSY], [QUIET], [BUSY, QUIET, 1003], [1003, 1004])),
        markets=rng.choice(([1], [2], [1, 2], [3])),
        side=rng.choice((None, None, Side.BUY, Side.SELL)),
        state=rng.choice((None, None, *STATES)),
        from_ms=rng.choice((None, times[0])),
        to_ms=rng.choice((None, times[1])),
    )


def test_every_page_and_file_is_what_reading_everything_gives(past: None) -> None:
    rng = Random(SEED)
    print(f"seed {SEED}")
    for _ in range(12):
        chosen, limit = some_filter(rng), rng.choice((1, 3, 50, 5_000))
        wanted, made = wanted_orders(chosen), wanted_trades(chosen)
        # Only the first pages of small ones.
        found, before = [], None
        for _ in range(8):
            page = orders_page(chosen, limit=limit, before=before)
            found += [order.id for order in page.rows]
            if (before := page.before) is None:
                break
        assert found == (wanted if before is None else wanted[: len(found)]), chosen
        got, before = [], None
        for _ in range(8):
            trades = trades_page(chosen, limit=limit, before=before)
            got += [(own.trade.id, own.is_maker) for own in trades.rows]
            if (before := trades.before) is None:
                break
        assert got == (made if before is None else made[: len(got)]), chosen
        assert [order.id for part in all_orders(chosen, chunk=97) for order in part] == wanted, chosen
        files = [(own.trade.id, own.is_maker) for part in all_trades(chosen, chunk=97) for own in part]
        assert files == made, chosen
    assert Order.objects.filter(account_id=QUIET).exists()
    assert orders_page(Filter(accounts=[BUSY], markets=[1], from_ms=time_ms(SIZE) + 1), limit=5).rows == []


@pytest.fixture
def house(db: None) -> tuple[User, TradingAccount, Client]:
    """Alice with a sub-account, and a market; she is logged in."""
    user = User.objects.create_user("alice@example.org", PASSWORD)
    sub = create_sub_account(user_id=user.pk, label="Desk")
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
    client = Client()
    client.force_login(user)
    return user, sub, client


def add_orders(account_id: int, first: int, count: int, **changes: Any) -> None:
    """One each minute from 2026-11-21 23:00 UTC on; buys at 10.00 ticks."""
    values = {
        "market_id": 1, "account_id": account_id, "side": 0, "kind": 1, "time_in_force": 1, "stp_mode": 1,
        "price_ticks": 1_000, "quantity_lots": 25, "budget_units": 0, "display_lots": 0, "stop_price_ticks": 0,
        "filled_lots": 5, "filled_quote_units": 123, "status": 2, "reason": 0,
    }  # fmt: skip
    Order.objects.bulk_create(
        Order(**{**values, **changes}, id=n, client_order_id=f"mine-{n}", seq=n, created_ms=START_MS + n * 60_000,
              updated_ms=START_MS + n * 60_000 + 7)
        for n in range(first, first + count)
    )  # fmt: skip


START_MS = 1_795_302_000_000  # 2026-11-21 23:00:00 UTC


def read(answer: Any) -> list[list[str]]:
    async def collect() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return list(csv.reader(io.StringIO(async_to_sync(collect)().decode())))


def ids(answer: Any) -> list[int]:
    """Order numbers on a page."""
    return [
        int(text) for text in re.findall(r'data-label="Order"><span><span class="num">(\d+)<', answer.content.decode())
    ]


def test_pages_and_files_of_orders(house: tuple[User, TradingAccount, Client]) -> None:
    user, sub, client = house
    main = main_account(user_id=user.pk).pk
    stranger = main_account(user_id=User.objects.create_user("bob@example.org", PASSWORD).pk).pk
    client.get("/account/orders")
    with CaptureQueriesContext(connection) as few:
        assert "No orders here." in client.get("/account/orders").content.decode()
    add_orders(main, 1, 60)
    add_orders(sub.pk, 61, 10, side=1, status=3, price_ticks=0, kind=2)
    add_orders(stranger, 71, 5)
    with CaptureQueriesContext(connection) as many:
        first = client.get("/account/orders")
    assert len(many) == len(few)
    assert ids(first) == list(range(70, 70 - ROWS_ON_A_PAGE, -1))
    older = client.get("/account/orders?before=21")
    assert ids(older) == list(range(20, 0, -1))
    assert "Older" not in older.content.decode()
    # Days are those of the zone that the user chose: minute 60 after 23:00 UTC is midnight, in Lisbon, too.
    assert ids(client.get("/account/orders?since=2026-11-22")) == list(range(70, 59, -1))
    assert client.post("/account/time-zone", {"zone": "Asia/Kathmandu"}).status_code == 302
    assert ids(client.get("/account/orders?until=2026-11-21")) == []
    page = client.get(f"/account/orders?account={sub.pk}&state=filled&side=sell&market=1").content.decode()
    assert "2026-11-22 05:55:00" in page  # 00:10 UTC, 5 h 45 min ahead
    assert '<span class="sell">sell</span>' in page
    rows = read(client.get("/account/orders.csv?" + urlencode({"side": "buy", "since": "2026-11-22"})))
    assert rows[0] == list(ORDER_COLUMNS)
    assert len(rows) == 61
    price, lot = 1_000 * TERMS.tick_size, TERMS.lot_size
    assert rows[1] == [
        "2026-11-22T00:00:00.000Z", "60", "mine-60", str(main), "BTCUSDT", "buy", "limit", format_units(price), "",
        format_units(25 * lot), format_units(5 * lot), "0.00000123", "partially filled", "2026-11-22T00:00:00.007Z",
    ]  # fmt: skip


def test_pages_and_files_of_trades(house: tuple[User, TradingAccount, Client]) -> None:
    user, sub, client = house
    main = main_account(user_id=user.pk).pk
    for n in range(1, 4):
        Trade.objects.create(
            id=n, market_id=1, trade_id=n, agg_id=n, maker_order_id=n, taker_order_id=n + 10, maker_account_id=sub.pk,
            taker_account_id=main if n == 3 else 999, price_ticks=1_000, quantity_lots=n, quote_units=n * 10**8,
            taker_is_buyer=n != 2, taker_fee_units=9, maker_fee_units=-n, time_ms=START_MS + n, seq=n,
        )  # fmt: skip
    rows = read(client.get("/account/trades.csv"))
    assert rows[0] == list(TRADE_COLUMNS)
    # Number 3 is of two accounts of hers; rebates come in what the taker received.
    assert [(row[2], row[4], row[5], row[6], row[10], row[11]) for row in rows[1:]] == [
        ("3", str(main), "buy", "taker", "0.00000009", "BTC"),
        ("3", str(sub.pk), "sell", "maker", "-0.00000003", "BTC"),
        ("2", str(sub.pk), "buy", "maker", "-0.00000002", "USDT"),
        ("1", str(sub.pk), "sell", "maker", "-0.00000001", "BTC"),
    ]
    page = client.get("/account/trades?side=sell").content.decode()
    assert page.count('data-label="Trade"') == 2
    assert "2026-11-21 23:00:00" in page


def test_what_is_no_filter_is_said_by_pages_and_files(house: tuple[User, TradingAccount, Client]) -> None:
    """Which are none: test_history_form.py."""
    for path in ("/account/orders", "/account/orders.csv", "/account/trades", "/account/trades.csv"):
        answer = house[2].get(path, {"side": "both"})
        assert answer.status_code == 422, path
        assert "errorlist" in answer.content.decode(), path


@pytest.mark.parametrize("path", ["/account/orders", "/account/trades"])
def test_where_no_page_begins_is_refused(house: tuple[User, TradingAccount, Client], path: str) -> None:
    for wrong in ("-5", "1e3", "x", "\u0663", str(2**63), "9" * 5_000):
        assert house[2].get(path, {"before": wrong}).status_code == 400
    assert b"here" in house[2].get(path, {"before": str(2**63 - 1)}).content
    assert house[2].get(path, {"before": "0"}).status_code == 200, "no number is below it: an empty page"


def test_a_foreign_account_and_an_unknown_state_and_zone_are_refused(house: Any) -> None:
    user, _, client = house
    stranger = main_account(user_id=User.objects.create_user("bob@example.org", PASSWORD).pk).pk
    add_orders(stranger, 1, 1)
    for query in ({"account": stranger}, {"state": "lost"}):
        assert client.get("/account/orders", query).status_code == 422
        assert client.get("/account/orders.csv", query).status_code == 422
    for zone in ("", "Mars/Phobos", "../etc/passwd", "posix/UTC"):
        assert client.post("/account/time-zone", {"zone": zone}).status_code == 422
    user.refresh_from_db()
    assert user.time_zone == "UTC"


def test_a_file_ends_at_its_limit(house: tuple[User, TradingAccount, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    user, _, client = house
    add_orders(main_account(user_id=user.pk).pk, 1, 9)
    monkeypatch.setattr(historyviews, "ROWS_IN_A_FILE_MAX", 7)
    monkeypatch.setattr(historyviews, "ROWS_IN_A_PART", 2)
    assert [row[1] for row in read(client.get("/account/orders.csv"))[1:]] == ["9", "8", "7", "6", "5", "4", "3"]
