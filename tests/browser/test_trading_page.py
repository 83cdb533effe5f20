"""The trading page against a fake exchange: what is seen and what is sent, also when things go wrong (U1, U4, T14)."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.fake_exchange import FakeExchange
from tests.browser.fake_market import UNIT

BAD_NUMBERS = [
    "", " ", "+1", "-1", "-0", "1e3", "1E400", "NaN", "Infinity", "0x1", "1_0", "1,5", "\u0661", "00.1", ".5", "5.",
    "1" * 40, "true", "0",
]  # fmt: skip


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    """The book of the worked example T2 and an account with 2 BTC and 100,000 USDT."""
    with FakeExchange() as exchange:

        def set_up_book(market) -> None:
            market.bids = {50_950 * UNIT: UNIT // 2, 50_940 * UNIT: UNIT, 50_930 * UNIT: UNIT * 5 // 2}
            market.asks = {51_000 * UNIT: UNIT * 6 // 5, 51_100 * UNIT: UNIT * 4 // 5, 51_200 * UNIT: UNIT * 3 // 10}

        exchange.do(set_up_book)
        yield exchange


@pytest.fixture
def page(exchange: FakeExchange, open_page: OpenPage, complaints: list[str]) -> Iterator[Page]:
    """The page, live; at the end nothing may have been complained about unless the test emptied the list."""
    page = open_page(f"{exchange.base_url}/trade/BTCUSDT")
    wait_live(page)
    yield page
    assert complaints == []


def wait_live(page: Page) -> None:
    expect(page.locator("#trade")).to_have_attribute("data-connection", "live")
    expect(page.locator("#book-bids .book-price").first).to_have_text("50,950.00")


def orders_sent(exchange: FakeExchange, method: str = "order.place") -> list[dict[str, str]]:
    return [request["params"] for request in exchange.requests if request["method"] == method]


def fill_form(page: Page, *, side: str = "BUY", kind: str = "LIMIT", **fields: str) -> None:
    page.locator(f"input[name=side][value={side}]").check(force=True)
    page.locator(f"input[name=kind][value={kind}]").check(force=True)
    for name, text in fields.items():
        page.fill(f"#order-{name}", text)


def test_book_shows_levels_totals_spread_and_depth(page: Page) -> None:
    rows = page.locator("#book-bids .book-row:enabled")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_have_text("50,940.001.000001.50000")
    expect(page.locator("#book-spread-value")).to_have_text("50.00 (0.09 %)")
    depths = page.eval_on_selector_all(
        "#book-bids .book-row:enabled", "rows => rows.map(row => row.style.getPropertyValue('--depth'))"
    )
    assert depths == ["0.125", "0.375", "1"]


def test_limit_order_rests_fills_and_moves_balances_live(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, price="50950", quantity="0.5")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    sent = orders_sent(exchange)[0]
    assert {key: sent[key] for key in ("symbol", "side", "type", "timeInForce", "price", "quantity")} == {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50950", "quantity": "0.5",
    }  # fmt: skip
    expect(page.locator("#book-bids .book-row").first).to_have_class("book-row book-bid is-own")
    expect(page.locator("#book-bids .book-quantity").first).to_have_text("1.00000")
    expect(page.locator("#balance-quote-locked")).to_have_text("25,475.00")
    expect(page.locator("#balance-quote-free")).to_have_text("74,525.00")

    exchange.do(lambda market: market.fill(market.orders[1], UNIT // 5, 50_950 * UNIT))
    expect(page.locator("#open-orders-body td[data-label=Filled]")).to_have_text("0.20000")
    exchange.do(lambda market: market.fill(market.orders[1], UNIT * 3 // 10, 50_950 * UNIT))
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect(page.locator("#page-notices")).to_contain_text("Bought 0.5 BTC at 50,950.00 USDT on average (2 fills)")
    expect(page.locator("#balance-base-free")).to_have_text("2.4995")
    expect(page.locator("#balance-quote-locked")).to_have_text("0.00")
    page.click("#tab-history")
    expect(page.locator("#order-history tbody td[data-label=Status]")).to_have_text("Filled")
    page.click("#tab-trades")
    expect(page.locator("#trade-history tbody tr")).to_have_count(2)
    expect(page.locator("#trade-history tbody td[data-label=Fee]").first).to_have_text("0.00030000 BTC")
    page.click("#tab-balances")
    expect(page.locator("#balances tbody tr")).to_have_count(2)


def test_market_sell_previews_the_worked_example(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, side="SELL", kind="MARKET", quantity="0.7")
    expect(page.locator("#preview-pay")).to_have_text("≈ 35,663.00 USDT")
    expect(page.locator("#preview-fee")).to_have_text("≈ 35.663 USDT")
    expect(page.locator("#preview-receive")).to_have_text("≈ 35,627.33 USDT")
    expect(page.locator("#preview-note")).to_have_text("Would fill down to 50,940.00.")
    expect(page.locator("#order-price")).to_be_disabled()
    page.click("#order-submit")
    expect(page.locator("#page-notices")).to_contain_text("Sold 0.7 BTC")
    sent = {"symbol", "side", "type", "quantity", "newClientOrderId", "newOrderRespType"}
    assert orders_sent(exchange)[0].keys() == sent


def test_market_buy_by_total(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, kind="MARKET", total="1000")
    expect(page.locator("#order-quantity")).to_have_attribute("placeholder", "≈ 0.01960")
    page.press("#order-total", "Enter")
    expect(page.locator("#page-notices")).to_contain_text("Bought 0.0196 BTC")
    assert orders_sent(exchange)[0]["quoteOrderQty"] == "1000"
    assert "quantity" not in orders_sent(exchange)[0]


def test_amount_total_and_percent_follow_each_other(page: Page) -> None:
    fill_form(page, price="50000", quantity="0.1")
    expect(page.locator("#order-total")).to_have_value("5000")
    page.fill("#order-total", "2500")
    expect(page.locator("#order-quantity")).to_have_value("0.05")
    page.click("#order-percent [data-percent='100']")
    expect(page.locator("#order-quantity")).to_have_value("2")
    fill_form(page, side="SELL")
    page.click("#order-percent [data-percent='25']")
    expect(page.locator("#order-quantity")).to_have_value("0.5")


def test_stop_orders_wait_and_are_listed_with_their_trigger(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, side="SELL", kind="STOP", stop="50000", price="49900", quantity="0.5")
    expect(page.locator("#preview-note")).to_have_text(
        "Waits until the price falls to 50,000.00, then it becomes a limit order at 49,900.00."
    )
    expect(page.locator("#preview-pay")).to_have_text("24,950.00 USDT")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#page-notices")).to_contain_text("Sell order waits for its trigger.")
    sent = orders_sent(exchange)[0]
    assert {key: sent[key] for key in ("type", "stopPrice", "price", "timeInForce", "quantity")} == {
        "type": "STOP_LOSS_LIMIT", "stopPrice": "50000", "price": "49900", "timeInForce": "GTC", "quantity": "0.5",
    }  # fmt: skip
    expect(page.locator("#open-orders-body td[data-label=Trigger]")).to_have_text("≤ 50,000.00")
    expect(page.locator("#open-orders-body td[data-label=Type]")).to_have_text("Stop limit")
    # It is in no book: no level is marked as own.
    expect(page.locator("#book-asks .is-own")).to_have_count(0)
    page.fill("#order-stop", "60000")
    page.fill("#order-quantity", "0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-stop-error")).to_contain_text("past this trigger already")


def test_trailing_stop(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, side="SELL", kind="STOP")
    page.select_option("select[name=trigger]", "TRAILING")
    page.select_option("select[name=as]", "MARKET")
    expect(page.locator("#order-price")).to_be_hidden()
    page.fill("#order-quantity", "0.5")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-trail-error")).to_have_text("Enter a distance in percent.")
    expect(page.locator("#order-trail")).to_be_focused()
    page.fill("#order-trail", "1.5")
    expect(page.locator("#preview-note")).to_contain_text("falls 1.5 % below its highest")
    page.press("#order-trail", "Enter")
    expect(page.locator("#open-orders-body td[data-label=Trigger]")).to_have_text("1.5 %")
    assert (orders_sent(exchange)[0]["type"], orders_sent(exchange)[0]["trailingDelta"]) == ("STOP_LOSS", 150)


def test_oco_is_one_request(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, side="SELL", kind="OCO", price="52000", stop="53000", quantity="0.5")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-stop-error")).to_have_text("For a sale the stop must be below the limit price.")
    page.fill("#order-stop", "50000")
    page.press("#order-stop", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(2)
    expect(page.locator("#page-notices")).to_contain_text("OCO with 2 orders is placed")
    expect(page.locator("#open-orders-body td[data-label=Type]").first).to_contain_text("list")
    [sent] = orders_sent(exchange, "orderList.place.oco")
    assert (sent["aboveType"], sent["abovePrice"], sent["belowType"], sent["belowStopPrice"]) == (
        "LIMIT_MAKER", "52000", "STOP_LOSS", "50000",
    )  # fmt: skip
    expect(page.locator("#order-quantity")).to_have_value("")


def test_what_follows_a_limit_order_is_one_request(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, price="50000", quantity="0.1")
    page.click("#order-options summary")
    page.fill("#order-profit", "49000")
    page.fill("#order-loss", "48000")
    expect(page.locator("#order-profit-error")).to_have_text("Must be above the price.")
    page.fill("#order-profit", "52000")
    expect(page.locator("#preview-note")).to_contain_text("sells 0.0999 BTC at 52,000.00, or at the market")
    page.press("#order-loss", "Enter")
    expect(page.locator("#page-notices")).to_contain_text("two others follow, and one cancels the other")
    [sent] = orders_sent(exchange, "orderList.place.otoco")
    assert (sent["pendingQuantity"], sent["pendingAbovePrice"], sent["pendingBelowStopPrice"]) == (
        "0.0999", "52000", "48000",
    )  # fmt: skip
    expect(page.locator("#order-profit")).to_have_value("")


def test_options_of_a_limit_order(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, price="50000", quantity="0.5")
    page.click("#order-options summary")
    page.check("#order-post-only")
    assert page.locator("select[name=timeInForce] option:not([disabled])").all_text_contents() == [
        "Until canceled", "1 hour", "1 day", "7 days",
    ]  # fmt: skip
    page.select_option("select[name=timeInForce]", "DAY")
    page.fill("#order-visible", "0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body td[data-label=Type]")).to_contain_text("Post-only")
    expect(page.locator("#open-orders-body td[data-label=Amount]")).to_have_text("0.50000 (0.1 visible)")
    sent = orders_sent(exchange)[0]
    assert (sent["type"], sent["icebergQty"], "timeInForce" in sent) == ("LIMIT_MAKER", "0.1", False)
    assert 0 <= int(sent["goodTillDate"]) - exchange.market.now_ms() + 60_000 <= 86_460_000
    page.uncheck("#order-post-only")
    page.select_option("select[name=timeInForce]", "IOC")
    page.fill("#order-quantity", "0.1")
    page.fill("#order-visible", "0.00001")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-visible-error")).to_contain_text("must be visible")


def test_an_immediate_order_that_finds_nothing_says_so(page: Page) -> None:
    fill_form(page, price="50000", quantity="0.5")
    page.click("#order-options summary")
    page.select_option("select[name=timeInForce]", "IOC")
    expect(page.locator("#preview-note")).to_have_text("Nothing at this price: it would expire.")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#page-notices")).to_contain_text("expired, because nothing more could fill it at once")


def test_an_order_in_review_says_so(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    exchange.do(lambda market: setattr(market.orders[1], "status", "PENDING_NEW"))
    page.reload()
    wait_live(page)
    expect(page.locator("#open-orders-body td[data-label=Type]")).to_have_text("Limit · in review")
    exchange.do(lambda market: market.end(market.orders[1], "REJECTED"))
    expect(page.locator("#page-notices")).to_contain_text("your buy order was rejected in review")
    expect(page.locator("#open-orders-empty")).to_be_visible()


def test_only_what_the_market_takes_is_offered(
    exchange: FakeExchange, open_page: OpenPage, complaints: list[str]
) -> None:
    exchange.order_types, exchange.takes_lists = ["LIMIT", "MARKET"], False
    page = open_page(f"{exchange.base_url}/trade/BTCUSDT")
    wait_live(page)
    assert page.locator("input[name=kind]:visible").count() == 2
    page.click("#order-options summary")
    expect(page.locator("#order-post-only")).to_be_hidden()
    assert complaints == []


@pytest.mark.parametrize("field", ["price", "quantity"])
def test_bad_numbers_get_an_error_at_their_field_and_nothing_is_sent(
    page: Page, exchange: FakeExchange, field: str
) -> None:
    for text in BAD_NUMBERS:
        fill_form(page, **({"price": "50000", "quantity": "0.1"} | {field: text}))
        page.press("#order-quantity", "Enter")
        expect(page.locator(f"#order-{field}-error")).not_to_be_empty()
        expect(page.locator(f"#order-{field}")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#order-{field}")).to_be_focused()
    assert orders_sent(exchange) == []


def test_more_than_the_balance_is_refused_before_sending(page: Page, exchange: FakeExchange) -> None:
    fill_form(page, price="50000", quantity="2.00001")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-quantity-error")).to_have_text("Not enough USDT: 100000 available.")
    assert orders_sent(exchange) == []


def test_refusals_of_the_exchange_stand_at_their_field(page: Page) -> None:
    fill_form(page, price="100", quantity="1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-price-error")).to_have_text("This price is too far from the last trade.")
    expect(page.locator("#open-orders-empty")).to_be_visible()


def test_halt_is_announced_and_refused(page: Page, exchange: FakeExchange) -> None:
    exchange.do(lambda market: market.change_state("HALT", "HALTED"))
    expect(page.locator("#state-banner")).to_contain_text("Trading is halted")
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-form-error")).to_have_text("This market does not take new orders right now.")
    now_ms = exchange.market.now_ms()
    # All of this is done within the first minute of the countdowns.
    halt = {"cause": "BREAKER", "until": now_ms + 599_000, "resumesAt": now_ms + 1_199_000}
    exchange.do(lambda market: market.change_state("HALT", "HALTED", **halt))
    expect(page.locator("#state-text")).to_contain_text("the price moved too fast")
    expect(page.locator("#state-countdown")).to_have_text(re.compile(r"^Call auction in 9:\d\d, reopens in 19:\d\d\.$"))
    found = {"indicativePrice": "50950.00000000", "indicativeQty": "1.25000000", **halt, "until": halt["resumesAt"]}
    exchange.do(lambda market: market.change_state("HALT", "AUCTION", **found))
    expect(page.locator("#state-banner")).to_contain_text("Call auction")
    expect(page.locator("#state-auction")).to_have_text("Indicative price 50,950.00 USDT, 1.25 BTC would trade.")
    expect(page.locator("#state-countdown")).to_have_text(re.compile(r"^Reopens in 19:\d\d\.$"))
    exchange.do(lambda market: market.set_level("b", max(market.asks), 1_000_000))
    expect(page.locator("#book-spread")).to_contain_text("Auction at 50,950.00")
    exchange.do(lambda market: market.set_level("b", max(market.asks), 0))
    halts = {"haltBelow": "47500.00000000", "haltAbove": "52500.01000000"}
    exchange.do(lambda market: market.change_state("TRADING", "OPEN", **halts))
    expect(page.locator("#state-banner")).to_be_hidden()
    expect(page.locator("#halt-prices")).to_have_text(re.compile(r"^47,500\.00 . 52,500\.01$"))
    expect(page.locator("#book-spread")).to_contain_text("Spread")
    expect(page.locator("#silence")).to_be_hidden()
    exchange.do(lambda market: market.change_state("TRADING", "OPEN", staleSince=now_ms))
    expect(page.locator("#silence")).to_contain_text(re.compile(r"silent since \d\d:\d\d:\d\d: "))
    expect(page.locator("#state-banner")).to_be_hidden()


def test_a_halt_that_began_while_away_is_seen_on_return(
    page: Page, exchange: FakeExchange, complaints: list[str]
) -> None:
    exchange.refuse_connections = True
    exchange.drop_connections()
    expect(page.locator("#connection-text")).to_contain_text("Connection lost")
    exchange.do(lambda market: market.change_state("CANCEL_ONLY", "CANCEL_ONLY"))
    exchange.refuse_connections = False
    expect(page.locator("#state-banner")).to_contain_text("Cancel-only", timeout=20_000)
    complaints.clear()


def test_a_gap_in_the_depth_stream_reloads_the_book(page: Page, exchange: FakeExchange) -> None:
    snapshots = exchange.snapshots
    exchange.do(lambda market: market.set_level("b", 50_950 * UNIT, 0, lose=True))
    exchange.do(lambda market: market.set_level("b", 50_945 * UNIT, UNIT))
    expect(page.locator("#book-bids .book-price").first).to_have_text("50,945.00")
    assert exchange.snapshots == snapshots + 1


def test_connection_lost_and_regained(page: Page, exchange: FakeExchange, complaints: list[str]) -> None:
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    exchange.refuse_connections = True
    exchange.drop_connections()
    expect(page.locator("#connection-text")).to_contain_text("Connection lost")
    expect(page.locator("#trade")).to_have_attribute("data-connection", "lost")
    # The world moves on while the page is away: the order is filled, a level goes.
    exchange.do(lambda market: market.fill(market.orders[1], UNIT // 10, 50_000 * UNIT))
    exchange.do(lambda market: market.set_level("b", 50_950 * UNIT, 0))
    exchange.refuse_connections = False
    expect(page.locator("#connection-text")).to_have_text("Live", timeout=20_000)
    expect(page.locator("#page-notices")).to_contain_text("Connection restored")
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect(page.locator("#book-bids .book-price").first).to_have_text("50,940.00")
    expect(page.locator("#balance-base-free")).to_have_text("2.0999")
    complaints.clear()


def test_offline_is_said_and_left(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.locator("#connection-text")).to_contain_text("Offline")
    page.context.set_offline(False)
    wait_live(page)


def test_an_order_without_an_answer_is_never_placed_twice(
    page: Page, exchange: FakeExchange, complaints: list[str]
) -> None:
    exchange.swallow_orders = True
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    exchange.drop_connections()
    exchange.swallow_orders = False
    wait_live(page)
    # The order turned up in the own orders, so the attempt is over and the form is free for the next one.
    expect(page.locator("#order-quantity")).to_have_value("")
    assert len(exchange.do(lambda market: list(market.orders))) == 1
    complaints.clear()


def test_sending_again_after_a_lost_answer_repeats_the_same_id(page: Page, exchange: FakeExchange) -> None:
    """The order never reached the exchange; the second press carries the first one's client order id."""
    page.evaluate("""() => {
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (text) {
            if (!text.includes('"order.place"') || window.swallowed) return send.call(this, text);
            window.swallowed = JSON.parse(text).params;
            this.close();
        };
    }""")
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-form-error")).to_contain_text("may or may not have been placed")
    wait_live(page)
    page.press("#order-quantity", "Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    assert orders_sent(exchange)[0] == page.evaluate("window.swallowed")


def test_cancel_and_cancel_all_with_confirmation(page: Page) -> None:
    for price in ("50000", "50100", "50200"):
        fill_form(page, price=price, quantity="0.1")
        page.press("#order-quantity", "Enter")
        expect(page.locator("#open-orders-body")).to_contain_text(f"{int(price):,}.00")
    page.locator("#open-orders-body button").first.click()
    expect(page.locator("#open-orders-body tr")).to_have_count(2)
    page.click("#cancel-all")
    page.keyboard.press("Escape")
    expect(page.locator("#confirm-dialog")).to_be_hidden()
    expect(page.locator("#open-orders-body tr")).to_have_count(2)
    page.click("#cancel-all")
    page.click("#confirm-dialog button[value=yes]")
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect(page.locator("#balance-quote-locked")).to_have_text("0.00")


def test_keyboard_alone_is_enough(page: Page, exchange: FakeExchange) -> None:
    page.keyboard.press("/")
    expect(page.locator("#market-search")).to_be_focused()
    page.keyboard.type("eth")
    expect(page.locator("#market-menu-body tr:visible")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#market-menu")).to_be_hidden()
    expect(page.locator("#market-menu-button")).to_be_focused()
    page.keyboard.press("s")
    expect(page.locator("#order-submit-text")).to_have_text("Sell BTC")
    expect(page.locator("#order-price")).to_be_focused()
    page.fill("#order-price", "51050")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#order-price")).to_have_value("51050.01")
    page.keyboard.press("Tab")
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    # The book is one stop of the Tab key; arrows walk over its rows and Enter takes the price.
    page.focus("#book-bids .book-row >> nth=0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#order-price")).to_have_value("50940.00")


def test_a_click_on_a_level_takes_its_price(page: Page) -> None:
    fill_form(page, kind="MARKET")
    page.click("#book-asks .book-row:enabled >> nth=0")
    expect(page.locator("input[name=kind][value=LIMIT]")).to_be_checked()
    expect(page.locator("#order-price")).to_have_value("51200.00")


def test_trades_ticker_and_title_follow_the_market(page: Page, exchange: FakeExchange) -> None:
    exchange.do(lambda market: market.print_trade(51_000 * UNIT, UNIT // 4, buyer_made=False))
    expect(page.locator("#last-price")).to_have_text("51,000.00")
    expect(page.locator("#trades-list li").first).to_contain_text("51,000.00")
    expect(page.locator("#trades-list li span").first).to_have_class("buy")
    expect(page).to_have_title("51,000.00 BTCUSDT · Nebannpet")


def test_candle_interval_is_chosen_and_remembered(page: Page) -> None:
    with page.expect_response(lambda answer: "interval=15m" in answer.url):
        page.click("[data-interval='15m']")
    page.reload()
    expect(page.locator("[data-interval='15m']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chart canvas").first).to_be_visible()
    assert page.locator("#tv-attr-logo").count() == 0
    expect(page.locator(".chart-credit")).to_have_attribute("href", "https://www.tradingview.com/")


def test_theme_switch_redraws_the_chart(page: Page) -> None:
    corner = """() => {
        const canvas = document.querySelector('#chart canvas');
        return canvas.width > 300 ? [...canvas.getContext('2d').getImageData(3, 200, 1, 1).data].join() : '';
    }"""
    before = page.wait_for_function(corner).json_value()
    page.locator(".theme-toggle").first.click()
    page.wait_for_function(f"before => ({corner})() !== before", arg=before)


def test_signed_out_visitors_see_the_market_and_a_way_in(
    exchange: FakeExchange, open_page: OpenPage, complaints: list[str]
) -> None:
    exchange.signed_in = False
    page = open_page(f"{exchange.base_url}/trade/BTCUSDT")
    wait_live(page)
    expect(page.locator("#order-submit")).to_be_hidden()
    expect(page.locator("#order-form a", has_text="Log in")).to_have_attribute(
        "href", "/account/log-in?next=/trade/BTCUSDT"
    )
    assert complaints == []


def test_a_session_that_ended_is_said(page: Page, exchange: FakeExchange, complaints: list[str]) -> None:
    exchange.signed_in = False
    exchange.drop_connections()
    expect(page.locator("#page-notices")).to_contain_text("You are signed out")
    expect(page.locator("#order-submit")).to_be_hidden()
    wait_live(page)
    complaints.clear()


def test_a_page_older_than_the_last_log_in_says_so(page: Page, exchange: FakeExchange, complaints: list[str]) -> None:
    """Another tab logged in anew, so this page's CSRF token is void: the site answers its tickets with 403."""
    exchange.ticket_status = 403
    exchange.drop_connections()
    expect(page.locator("#page-notices")).to_contain_text("This page is out of date. Reload it to trade.")
    wait_live(page)
    complaints.clear()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_site_that_gives_no_tickets_is_asked_again(
    page: Page, exchange: FakeExchange, complaints: list[str], status: int
) -> None:
    exchange.ticket_status = status
    exchange.drop_connections()
    expect(page.locator("#connection-text")).to_contain_text("Connection lost")
    expect(page.locator("#order-submit")).to_be_visible()
    exchange.ticket_status = 200
    expect(page.locator("#trade")).to_have_attribute("data-connection", "live", timeout=20_000)
    complaints.clear()


def test_a_foreign_address_is_not_tried_for_ever(page: Page, exchange: FakeExchange, complaints: list[str]) -> None:
    exchange.foreign_origin = True
    exchange.drop_connections()
    expect(page.locator("#page-notices")).to_contain_text("Trading works only at the exchange's own address")
    wait_live(page)
    complaints.clear()


def test_orders_while_not_connected_say_that_nothing_was_sent(
    page: Page, exchange: FakeExchange, complaints: list[str]
) -> None:
    exchange.refuse_connections = True
    exchange.drop_connections()
    expect(page.locator("#trade")).to_have_attribute("data-connection", "lost")
    fill_form(page, price="50000", quantity="0.1")
    page.press("#order-quantity", "Enter")
    expect(page.locator("#order-form-error")).to_have_text("Not connected to the exchange. Nothing was sent.")
    expect(page.locator("#order-quantity")).to_have_value("0.1")
    assert orders_sent(exchange) == []
    complaints.clear()


def test_simulated_data_is_labelled(page: Page) -> None:
    expect(page.locator(".badge", has_text="Simulated data")).to_be_visible()


def test_no_inline_script_or_style_in_the_page(page: Page, exchange: FakeExchange) -> None:
    html = page.request.get(f"{exchange.base_url}/trade/BTCUSDT").text()
    assert " style=" not in html
    assert "<style" not in html
    assert html.count("<script") == html.count("<script ") == html.count(' src="/static/') - html.count("<img")


@pytest.mark.parametrize("width", [390, 320])
def test_phone_has_everything_without_sideways_scrolling(
    exchange: FakeExchange, open_page: OpenPage, complaints: list[str], width: int
) -> None:
    page = open_page(
        f"{exchange.base_url}/trade/BTCUSDT", viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True
    )
    expect(page.locator("#trade")).to_have_attribute("data-connection", "live")
    for view in ("chart", "book", "trades", "order", "account"):
        page.tap(f"#view-tabs [data-tab={view}]")
        expect(page.locator(f"#{view}-panel")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    page.tap("#view-tabs [data-tab=book]")
    page.tap("#book-bids .book-row >> nth=0")
    expect(page.locator("#order-panel")).to_be_visible()
    expect(page.locator("#order-price")).to_have_value("50950.00")
    page.fill("#order-quantity", "0.1")
    page.tap("#order-submit")
    page.tap("#view-tabs [data-tab=account]")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.tap("#open-orders-body button")
    expect(page.locator("#open-orders-empty")).to_be_visible()
    assert complaints == []


def test_market_list_is_live_and_filters(exchange: FakeExchange, open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page(f"{exchange.base_url}/markets")
    expect(page.locator("#market-list-body tr")).to_have_count(5)
    expect(page.locator("tr[data-symbol=BTCUSDT] .market-last")).not_to_have_text("\u2013")
    badge, ends = page.locator("tr .market-state:visible"), page.locator("tr[data-symbol=BTCUSDT] .market-ends")
    expect(badge).to_have_count(0)
    halt = {"cause": "BREAKER", "resumesAt": exchange.market.now_ms() + 120_000, "staleSince": 1}
    exchange.do(lambda market: market.change_state("HALT", "HALTED", **halt))
    expect(badge).to_contain_text("Halted Trading is halted, because the price moved too fast.")
    expect(ends).to_have_text(re.compile(r"^Reopens in \d:\d\d\.$"))
    expect(page.locator("#silence")).to_be_visible()
    page.reload()
    expect(badge).to_contain_text("the price moved too fast")
    expect(page.locator("#silence")).to_be_visible()
    exchange.do(lambda market: market.change_state("TRADING", "OPEN"))
    expect(badge).to_have_count(0)
    expect(page.locator("#silence")).to_be_hidden()
    page.fill("#market-filter", "eth/b")
    expect(page.locator("#market-list-body tr:visible")).to_have_count(1)
    expect(page.locator("tr[data-symbol=ETHBTC] a")).to_have_attribute("href", "/trade/ETHBTC")
    assert complaints == []
