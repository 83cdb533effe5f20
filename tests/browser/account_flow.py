"""The way of somebody new through the account pages, step by step in a browser (issue 7, 'Done when').

With ACCOUNT_FLOW_SCREENSHOTS=1 each step leaves a screenshot in test-results/account-flow, which git ignores, to be
looked at; without it no step is drawn, since pictures of whole pages are most of the time that this takes.
"""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect

from tests.accounts.people import PASSWORD
from tests.codes import fresh_code
from tests.stack import BASE_DIR

SCREENSHOTS: Final = BASE_DIR / "test-results" / "account-flow"
WANTED: Final = os.environ.get("ACCOUNT_FLOW_SCREENSHOTS") == "1"


@dataclass
class Newcomer:
    """`page` is a window of a phone or a desktop, which `name` says; `secret` and `codes` are what a person keeps."""

    page: Page
    url: str
    name: str
    secret: str = ""
    codes: tuple[str, ...] = ()
    steps: int = 0

    def __post_init__(self) -> None:
        self.page.set_default_timeout(60_000)
        self.email = f"{self.name}@example.org"

    def look(self, what: str) -> None:
        """The page that is open is nowhere wider than the window; a screenshot of it where they are wanted."""
        self.steps += 1
        if WANTED:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            path = Path(SCREENSHOTS, f"{self.name}-{self.steps:02}-{what}.png")
            self.page.screenshot(path=path, full_page=True)
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), what

    def press(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def link_of_newest_mail(self, subject: str, kind: str) -> None:
        """Open the link of the newest e-mail with this subject, out of the development mailbox."""
        self.go("/dev/mail")
        row = self.page.locator("tr", has_text=self.email).filter(has_text=subject).first
        row.get_by_role("link").click()
        link = re.search(rf"/account/{kind}/[\w-]{{43}}", self.page.locator(".mail-text").inner_text())
        assert link is not None
        self.look(f"mail-{kind}")
        self.go(link.group(0))

    def sign_up(self) -> None:
        self.go("/account/sign-up")
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.look("sign-up")
        self.press("Create account")
        self.page.wait_for_url(f"{self.url}/account/check-mail")
        self.look("check-mail")
        self.link_of_newest_mail("Confirm your address", "confirm")
        self.page.get_by_label("The password you chose").fill(PASSWORD)
        self.look("confirm-sign-up")
        self.press("Confirm and log in")
        self.page.wait_for_url(f"{self.url}/account/")
        self.look("overview-new")

    def set_up_app(self) -> None:
        """As the first factor, or in place of a lost one."""
        first = not self.codes
        self.go("/account/two-factor")
        button = "Set up an authenticator app" if first else "Replace it"
        self.press(button)
        if first:
            self.page.get_by_label("Your password").fill(PASSWORD)
            self.look("confirm-by-password")
            self.press("Confirm")
            self.press(button)
        self.page.get_by_text("I cannot scan it").click()
        self.secret = self.page.locator("#totp-secret").inner_text()
        self.page.get_by_label("Code of your authenticator app").fill(fresh_code(self.secret))
        self.look("app")
        self.press("Use this app")
        if first:
            shown = self.page.locator("#recovery-codes li")
            expect(shown).to_have_count(10)
            self.codes = tuple(shown.all_inner_texts())
            self.look("recovery-codes")
        else:
            self.page.get_by_text("Your new authenticator app is in use").wait_for()

    def add_passkey(self) -> None:
        """With Chromium's virtual authenticator in this window, as a phone or a laptop has one built in."""
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": True}})
        self.go("/account/passkeys")
        self.page.get_by_role("link", name="Add a passkey").click()
        self.page.get_by_label("Name").fill("this device")
        self.look("add-passkey")
        self.press("Add a passkey")
        self.page.get_by_text("The passkey is added.").wait_for()
        self.look("passkeys")
        self.go("/account/security")
        self.look("security")

    def make_key(self) -> tuple[str, str]:
        """The API key and its secret."""
        self.go("/account/api-keys")
        self.page.get_by_label("Name").fill("bot")
        self.page.get_by_label("Trade: place and cancel orders").check()
        self.look("new-key")
        self.press("Create key")
        shown = self.page.locator("#new-key").inner_text(), self.page.locator("#new-secret").inner_text()
        self.look("key")
        return shown

    def account_number(self) -> int:
        self.go("/account/sub-accounts")
        return int(self.page.locator("td[data-label=Number]").first.inner_text())

    def add_sub_account(self, label: str) -> None:
        self.go("/account/sub-accounts")
        self.page.get_by_label("Name").fill(label)
        self.press("Create sub-account")
        self.page.locator("td[data-label=Name]", has_text=label).wait_for()
        self.look("sub-accounts")

    def move_to_sub_account(self, amount: str, asset: str) -> None:
        """From the master account to the only other one, which the form proposes; over once the page says so."""
        self.go("/account/balances")
        self.page.get_by_label("Asset", exact=True).select_option(label=asset)
        self.page.get_by_label("Amount", exact=True).fill(amount)
        self.look("transfer")
        self.press("Transfer")
        self.page.locator("td[data-label=State]").first.wait_for()
        deadline = time.monotonic() + 60
        while self.page.locator("td[data-label=State]").all_inner_texts() != ["done"]:
            assert time.monotonic() < deadline, self.page.locator("td[data-label=State]").all_inner_texts()
            self.go("/account/balances")
        self.look("transferred")

    def place_block_order(self, symbol: str, *, price: str, quantity: str) -> None:
        """For all of the sub-accounts, by a rule made for it; cancelled again."""
        self.go("/account/allocation-rules")
        self.press("Create rule")
        self.page.get_by_text("Rule 1 is set.").wait_for()
        self.go(f"/trade/{symbol}")
        expect(self.page.locator("#trade")).to_have_attribute("data-connection", "live")
        self.show_part("order")
        self.page.get_by_label("Allocate to sub-accounts").select_option(label="Rule 1: Equal, 1 account")
        self.page.get_by_label("Price", exact=True).fill(price)
        self.page.get_by_label("Amount", exact=True).fill(quantity)
        expect(self.page.locator("#allocation-parts td").nth(1)).to_have_text(quantity)
        self.look("block-order")
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#page-notices")).to_contain_text("is in the book, for 1 account.")
        self.show_part("account")
        summary = self.page.locator("#open-orders-body summary", has_text="block of 1")
        summary.press("Enter")
        expect(self.page.locator("#open-orders-body .shares")).to_contain_text(f": 0 of {quantity} BTC")
        self.look("block-order-shares")
        self.page.locator("#open-orders-body button").click()
        expect(self.page.locator("#open-orders-empty")).to_be_visible()

    def show_part(self, name: str) -> None:
        """Of the trading page, which on a phone shows one at a time."""
        tab = self.page.locator(f"#view-tabs [data-tab={name}]")
        if tab.is_visible():
            tab.click()

    def log_in_with_code(self) -> None:
        self.log_in_with_password()
        self.page.get_by_label("Code of your authenticator app").fill(fresh_code(self.secret))
        self.press("Log in")
        self.page.wait_for_url(f"{self.url}/account/")

    def log_in_with_password(self) -> None:
        self.go("/account/log-in")
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Log in")
        self.page.wait_for_url(f"{self.url}/account/log-in/code")

    def log_in_with_passkey(self) -> None:
        self.go("/login/passkey")
        self.look("log-in-with-passkey")
        self.press("Use a passkey")
        self.page.wait_for_url(f"{self.url}/account/")

    def log_out(self) -> None:
        self.go("/account/devices")
        self.page.locator("tr", has_text="this one").get_by_role("button", name="Log out").click()
        self.page.get_by_text("You are logged out.").wait_for()

    def end_other_session(self) -> None:
        self.go("/account/devices")
        expect(self.page.get_by_role("button", name=re.compile("^Log out .* of "))).to_have_count(1)
        self.look("devices")
        self.page.get_by_role("button", name=re.compile("^Log out .* of ")).click()
        expect(self.page.get_by_role("button", name=re.compile("^Log out .* of "))).to_have_count(0)

    def revoke_key(self) -> None:
        self.go("/account/api-keys")
        self.page.get_by_role("button", name="Revoke bot").click()
        self.page.get_by_text("The API key is revoked").wait_for()
        self.look("key-revoked")

    def recover(self) -> None:
        """The phone is lost: password, a mailed link and a recovery code; then another app in place of the lost one."""
        self.log_in_with_password()
        self.page.get_by_text("I have lost it").click()
        self.look("second-step")
        self.press("Send the link")
        self.page.wait_for_url(f"{self.url}/account/check-mail")
        self.link_of_newest_mail("Log in without your second factor", "recover")
        self.page.get_by_label("Recovery code").fill(self.codes[0])
        self.look("recover")
        self.press("Log in")
        self.page.wait_for_url(f"{self.url}/account/two-factor")
        self.look("two-factor-after-recovery")
        self.set_up_app()
        self.go("/account/")
        self.page.get_by_text("Withdrawals are held until").wait_for()
        self.look("overview-after-recovery")
