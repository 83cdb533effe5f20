"""A user's session in a real browser on the whole running exchange (issue 3, 'Done when'; U1, T2, T14).

Logs in, places orders, sees fill, balance and book change live, cancels, loses and regains the connection, sees a halt,
logs out.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.forms import Forms
from tests.accounts.people import PASSWORD
from tests.browser.account_flow import Newcomer
from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.codes import fresh_code
from tests.dialect import Account, Dialect, demo_account
from tests.stack import BASE_DIR, TRADING, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SYMBOL = "BTCUSDT"
BIDS = [("50950.00", "0.5"), ("50940.00", "1.0"), ("50930.00", "2.5")]
ASKS = [("51000.00", "1.2"), ("51100.00", "0.8"), ("51200.00", "0.3")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(PROCESSES=f"{TRADING},site") as running:
        yield running


@pytest.fixture(scope="module")
def makers_account(stack: Stack) -> Account:
    return fresh_account(stack, BTC="1000", USDT="100000000")


@pytest.fixture
def maker(stack: Stack, makers_account: Account) -> Iterator[Dialect]:
    """The book of the worked example T2, by an account of its own; emptied afterwards."""
    with Dialect(stack.base_url, makers_account) as maker:
        for side, orders in (("BUY", BIDS), ("SELL", ASKS)):
            for price, quantity in orders:
                place(maker, side, price, quantity)
        yield maker
        maker.signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)


@pytest.fixture
def trader(stack: Stack) -> Iterator[Account]:
    account = fresh_account(stack, BTC="2", USDT="100000")
    yield account
    with Dialect(stack.base_url, account) as client:
        client.signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)


@pytest.fixture
def page(stack: Stack, maker: Dialect, trader: Account, open_page: OpenPage) -> Page:
    """The trading page of a trader with 2 BTC and 100,000 USDT, who is logged in."""
    with Forms(stack) as forms:
        forms.log_in(trader)
        page = open_page(f"{stack.base_url}/trade/{SYMBOL}", storage_state=forms.storage_state())
    expect_to_trade(page)
    return page


def expect_to_trade(page: Page) -> None:
    wait_live(page)
    expect(page.locator("#balance-base-free")).to_have_text("2.00")


# Being away can be over sooner than a test looks, so the page keeps what it said.
WATCH_CONNECTION = """() => {
    window.connectionTexts = [];
    const text = document.getElementById('connection-text');
    new MutationObserver(() => window.connectionTexts.push(text.textContent)).observe(text, { childList: true });
}"""


def fresh_account(stack: Stack, **funds: str) -> Account:
    return demo_account(stack, f"browser-{time.monotonic_ns()}", **funds)


def place(client: Dialect, side: str, price: str, quantity: str) -> None:
    """A limit order; 503 says that nothing happened and asks to try again, as right after a restart."""
    params = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC"}
    deadline = time.monotonic() + 40
    while True:
        status, body = client.signed("POST", "/api/v3/order", **params, price=price, quantity=quantity)
        if status == 200:
            return
        assert status == 503, (status, body)
        assert time.monotonic() < deadline, body
        time.sleep(0.1)


def wait_live(page: Page) -> None:
    expect(page.locator("#trade")).to_have_attribute("data-connection", "live", timeout=30_000)


def expect_best_bid(page: Page, price: str, quantity: str) -> None:
    expect(page.locator("#book-bids .book-price").first).to_have_text(price)
    expect(page.locator("#book-bids .book-quantity").first).to_have_text(quantity)


def order(page: Page, *, side: str = "BUY", kind: str = "LIMIT", **fields: str) -> None:
    page.locator(f"input[name=side][value={side}]").check(force=True)
    page.locator(f"input[name=kind][value={kind}]").check(force=True)
    for name, text in fields.items():
        page.fill(f"#order-{name}", text)
    page.click("#order-submit")


def test_log_in_leads_back_to_the_market(
    stack: Stack, maker: Dialect, trader: Account, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page(f"{stack.base_url}/trade/{SYMBOL}")
    page.click("#order-form a >> text=Log in")
    page.fill("input[name=username]", trader.email)
    page.fill("input[name=password]", trader.password)
    page.keyboard.press("Enter")
    page.fill("input[name=code]", fresh_code(trader.totp_secret))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trade/{SYMBOL}")
    expect_to_trade(page)
    order(page, price="50955", quantity="0.1")
    expect_best_bid(page, "50,955.00", "0.10000")
    assert complaints == []


def test_a_market_order_fills_and_everything_follows_live(page: Page, complaints: list[str]) -> None:
    expect_best_bid(page, "50,950.00", "0.50000")
    order(page, side="SELL", kind="MARKET", quantity="0.7")
    expect(page.locator("#page-notices")).to_contain_text("Sold 0.7 BTC at about 50,947.14 USDT on average (2 fills)")
    expect(page.locator("#balance-base-free")).to_have_text("1.30")
    expect(page.locator("#balance-quote-free")).to_have_text("135,627.337")
    expect_best_bid(page, "50,940.00", "0.80000")
    expect(page.locator("#last-price")).to_have_text("50,940.00")
    expect(page.locator("#trades-list li").first).to_contain_text("50,940.00")
    page.click("#tab-trades")
    expect(page.locator("#trade-history td[data-label=Fee]")).to_have_text(["10.18800000 USDT", "25.47500000 USDT"])
    page.click("#tab-history")
    expect(page.locator("#order-history td[data-label=Status]")).to_have_text("Filled")
    expect(page.locator("#chart-message")).to_be_hidden()
    assert complaints == []


def test_a_resting_order_is_seen_filled_by_somebody_else_and_another_canceled(
    page: Page, maker: Dialect, complaints: list[str]
) -> None:
    order(page, price="50960", quantity="0.25")
    expect_best_bid(page, "50,960.00", "0.25000")
    expect(page.locator("#balance-quote-locked")).to_have_text("12,740.00")
    place(maker, "SELL", "50960.00", "0.1")
    expect(page.locator("#page-notices")).to_contain_text("Bought 0.1 BTC at 50,960.00 USDT")
    expect(page.locator("#open-orders-body td[data-label=Filled]")).to_have_text("0.10000")
    expect(page.locator("#balance-base-free")).to_have_text("2.0999")
    expect_best_bid(page, "50,960.00", "0.15000")
    page.click("#open-orders-body button")
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect_best_bid(page, "50,950.00", "0.50000")
    expect(page.locator("#balance-quote-locked")).to_have_text("0.00")
    assert complaints == []


def test_an_oco_waits_and_is_canceled_as_one(page: Page, complaints: list[str]) -> None:
    order(page, side="SELL", kind="OCO", price="60000", stop="40000", quantity="0.5")
    expect(page.locator("#open-orders-body tr")).to_have_count(2)
    expect(page.locator("#open-orders-body td[data-label=Trigger]").first).to_have_text("≤ 40,000.00")
    expect(page.locator("#balance-base-locked")).to_have_text("0.50")
    page.locator("#open-orders-body button").first.click()
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect(page.locator("#balance-base-locked")).to_have_text("0.00")
    assert complaints == []


def test_the_page_survives_the_death_of_the_gateway(page: Page, stack: Stack, maker: Dialect) -> None:
    order(page, price="50960", quantity="0.1")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    page.evaluate(WATCH_CONNECTION)
    stack.kill("gateway")
    stack.wait_ready("gateway")
    # Whether the page is back already or not: it must come to know of this fill.
    place(maker, "SELL", "50960.00", "0.1")
    page.wait_for_function("window.connectionTexts.some(text => text.startsWith('Connection lost'))")
    wait_live(page)
    expect(page.locator("#page-notices")).to_contain_text("Connection restored")
    expect(page.locator("#open-orders-empty")).to_be_visible()
    expect(page.locator("#balance-base-free")).to_have_text("2.0999")
    expect_best_bid(page, "50,950.00", "0.50000")
    order(page, price="50955", quantity="0.2")
    expect_best_bid(page, "50,955.00", "0.20000")


def test_the_page_is_right_about_orders_sent_while_the_engine_is_dead(
    page: Page, stack: Stack, trader: Account
) -> None:
    stack.kill("matching")
    order(page, price="50900", quantity="0.1")
    # Taken and answered when the engine is back, or refused: whichever it was, the page says so.
    said = page.locator("#open-orders-body tr, #order-form-error:not(:empty)")
    expect(said.first).to_be_visible(timeout=30_000)
    stack.wait_ready("matching")
    wait_live(page)
    with Dialect(stack.base_url, trader) as client:
        open_orders = client.ok("GET", "/api/v3/openOrders", symbol=SYMBOL)
    expect(page.locator("#open-orders-body tr")).to_have_count(len(open_orders))
    order(page, price="50901", quantity="0.1")
    expect(page.locator("#open-orders-body tr")).to_have_count(len(open_orders) + 1)


def test_offline_and_back(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.locator("#connection-text")).to_contain_text("Offline")
    page.context.set_offline(False)
    wait_live(page)
    order(page, price="50900", quantity="0.1")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)


def test_a_halt_is_seen_and_cancels_still_work(page: Page, stack: Stack, complaints: list[str]) -> None:
    order(page, price="50900", quantity="0.1")
    expect(page.locator("#open-orders-body tr")).to_have_count(1)
    stack.manage("market", SYMBOL, "halt", "--reason", "browser test")
    try:
        expect(page.locator("#state-banner")).to_contain_text("Trading is halted")
        order(page, price="50901", quantity="0.1")
        expect(page.locator("#order-form-error")).to_have_text("This market does not take new orders right now.")
        page.click("#open-orders-body button")
        expect(page.locator("#open-orders-empty")).to_be_visible()
    finally:
        stack.manage("market", SYMBOL, "open", "--reason", "browser test")
    expect(page.locator("#state-banner")).to_be_hidden()
    assert complaints == []


def test_refusals_of_the_engine_stand_at_their_field(page: Page) -> None:
    order(page, price="1000", quantity="0.1")
    expect(page.locator("#order-price-error")).to_have_text("This price is too far from the last trade.")
    order(page, price="50900", quantity="1.99")
    expect(page.locator("#order-quantity-error")).to_contain_text("Not enough USDT")
    expect(page.locator("#open-orders-empty")).to_be_visible()


def test_logging_out_elsewhere_ends_trading_here(page: Page, stack: Stack) -> None:
    other = page.context.new_page()
    other.goto(f"{stack.base_url}/account/")
    other.click("summary.nav-link")
    other.click("text=Log out")
    expect(page.locator("#page-notices")).to_contain_text("You are signed out")
    expect(page.locator("#order-submit")).to_be_hidden()
    wait_live(page)


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.long)])
def test_the_api_page_fits_a_phone(stack: Stack, open_page: OpenPage, complaints: list[str], scheme: str) -> None:
    page = open_page(f"{stack.base_url}/docs/api", viewport=PHONE, color_scheme=scheme)
    page.locator("#post-api-v3-order summary").click()
    expect(page.locator("#post-api-v3-order").get_by_text("timeInForce").first).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert complaints == []


def test_the_market_list_shows_every_market(stack: Stack, maker: Dialect, open_page: OpenPage) -> None:
    page = open_page(f"{stack.base_url}/markets")
    expect(page.locator("#market-list-body tr")).to_have_count(5)
    expect(page.locator(f"tr[data-symbol={SYMBOL}] .market-last")).to_contain_text("50,")
    page.click(f"tr[data-symbol={SYMBOL}] a")
    wait_live(page)
    expect_best_bid(page, "50,950.00", "0.50000")


def fund(stack: Stack, account: int, asset: str, units: int) -> None:
    """As a deposit that was confirmed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.depositor"], input=f"credit {account} {asset} {units} flow:{account}\n",
        env=stack.environment, cwd=BASE_DIR, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("queued"), done.stdout + done.stderr


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("name", "viewport"), [("phone", PHONE), pytest.param("desktop", DESKTOP, marks=pytest.mark.long)]
)
def test_from_sign_up_to_a_lost_phone(
    stack: Stack, maker: Dialect, open_page: OpenPage, name: str, viewport: dict[str, int]
) -> None:
    """Issue 7, 'Done when': each step of somebody new, on the whole running exchange.

    `make test` has it on a phone, where less fits, `make long` also on a desktop.
    """
    newcomer = Newcomer(open_page(stack.base_url, viewport=viewport), stack.base_url, name)
    newcomer.sign_up()
    newcomer.set_up_app()
    newcomer.add_passkey()
    account = newcomer.account_number()
    fund(stack, account, "USDT", 20_000 * 10**8)
    key, secret = newcomer.make_key()
    with Dialect(stack.base_url, Account(newcomer.email, PASSWORD, key, secret, account)) as client:
        wait_for(lambda: client.signed("GET", "/api/v3/account")[0] == 200 and "USDT" in client.balances())
        order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        assert client.order(**order, price="51000.00", quantity="0.1")["status"] == "FILLED"
        newcomer.add_sub_account("second desk")
        newcomer.move_to_sub_account("1000", "USDT")
        newcomer.place_block_order(SYMBOL, price="40000", quantity="0.02")
        other = Newcomer(open_page(stack.base_url), stack.base_url, name, secret=newcomer.secret, codes=newcomer.codes)
        other.log_in_with_code()
        newcomer.end_other_session()
        other.go("/account/")
        assert "/account/log-in" in other.page.url
        newcomer.revoke_key()
        wait_for(lambda: client.signed("GET", "/api/v3/account")[0] == 401)
    newcomer.log_out()
    newcomer.log_in_with_passkey()
    newcomer.log_out()
    newcomer.recover()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
