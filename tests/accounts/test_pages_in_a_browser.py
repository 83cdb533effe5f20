"""The account pages in the system's Chromium: forms, theme, phone width, and texts that try to become code (T15).

Playwright runs in a thread of its own: its synchronous interface keeps an event loop in its thread, where Django's
ORM refuses to work.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Page, expect, sync_playwright

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.secrets import decrypt_secret
from apps.accounts.selectors import main_account_id
from apps.accounts.services.keyissue import issue_hmac_key
from tests.accounts.factors import with_app
from tests.accounts.people import PASSWORD
from tests.browser.conftest import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES, DESKTOP, PHONE
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "' autofocus onfocus='alert(1)",
    "</title><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
    "<a href=javascript:alert(1)>x</a>",
    "<style>*{display:none}</style>",
    "${alert(1)}",
]

Visit = Callable[..., Any]


class Watch:
    """Everything that must not happen while a page is open."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))


@pytest.fixture
def visit(live_server: Any) -> Iterator[Visit]:
    """visit(steps, **context options): runs steps(page, url of the site) in a fresh browser; nothing may complain."""
    path = next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM_NAMES)}): the pages are NOT tested")

    def run(steps: Callable[[Page, str], Any], options: dict[str, Any]) -> Any:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_ARGUMENTS)
            page = browser.new_context(**({"viewport": DESKTOP, "color_scheme": "dark"} | options)).new_page()
            page.set_default_timeout(40_000)
            watch = Watch(page)
            result = steps(page, live_server.url)
            browser.close()
        assert watch.complaints == []
        return result

    with ThreadPoolExecutor(1) as pool:
        yield lambda steps, **options: pool.submit(run, steps, options).result()


def _log_in(page: Page, url: str, email: str, secret: str = "") -> None:
    """`secret` is that of the user's authenticator app, for those who have one."""
    page.goto(f"{url}/account/log-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    if secret:
        page.get_by_label("Code of your authenticator app").fill(fresh_code(secret))
        page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}/account/")


def set_up_app(page: Page, url: str) -> str:
    """The secret of the authenticator app that the user of `page` has from now on."""
    page.goto(f"{url}/account/two-factor")
    page.get_by_role("button", name="Set up an authenticator app").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_role("button", name="Set up an authenticator app").click()
    page.get_by_text("I cannot scan it").click()
    expect(page.get_by_alt_text("QR code")).to_have_js_property("complete", True)
    assert page.get_by_alt_text("QR code").evaluate("image => image.naturalWidth > 100")
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Code of your authenticator app").fill(fresh_code(secret))
    page.get_by_role("button", name="Use this app").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    page.get_by_role("link", name="I have stored them").click()
    return secret


def test_from_sign_up_to_a_revoked_key(visit: Visit) -> None:
    def steps(page: Page, url: str) -> tuple[str, str]:
        page.goto(f"{url}/account/sign-up")
        page.get_by_label("E-mail").fill("carol@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        page.get_by_role("link", name="read its e-mail here").click()
        page.get_by_role("link", name="Confirm your address").click()
        link = re.search(r"/account/confirm/[\w-]{43}", page.locator(".mail-text").inner_text())
        assert link is not None
        page.goto(f"{url}{link.group(0)}")
        page.get_by_label("The password you chose").fill(PASSWORD)
        page.get_by_role("button", name="Confirm and log in").click()
        page.wait_for_url(f"{url}/account/")
        secret = set_up_app(page, url)
        page.goto(f"{url}/account/api-keys")
        page.get_by_label("Name").fill("bot")
        page.get_by_label("Trade: place and cancel orders").check()
        page.get_by_role("button", name="Create key").click()
        shown = page.locator("#new-key").inner_text(), page.locator("#new-secret").inner_text()
        page.get_by_role("link", name="I have stored it").click()
        assert shown[1] not in page.content()
        page.get_by_role("button", name="Revoke bot").click()
        page.get_by_text("The API key is revoked").wait_for()
        page.get_by_text("Account", exact=True).click()
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You are logged out.").wait_for()
        _log_in(page, url, "carol@example.org", secret)
        return shown

    public_key, secret = visit(steps)
    key = ApiKey.objects.get()
    assert key.public_key == public_key
    assert decrypt_secret(key.public_key, key.secret_box).decode() == secret
    assert (key.can_read, key.can_trade, key.is_revoked) == (True, True, True)


def test_hostile_texts_stay_texts(visit: Visit, make_user: Callable[..., User]) -> None:
    user = make_user("alice@example.org", is_staff=True, is_superuser=True)
    secret, _ = with_app(user)
    account_id = main_account_id(user_id=user.pk)
    assert account_id is not None
    user.trading_accounts.update(label=HOSTILE[0])
    for text in HOSTILE:
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label=text, can_read=True, can_trade=False))
        Group.objects.create(name=text)

    def steps(page: Page, url: str) -> None:
        _log_in(page, url, "alice@example.org", secret)
        page.goto(f"{url}/account/api-keys")
        assert sorted(page.locator("td[data-label=Name]").all_inner_texts()) == sorted(HOSTILE)
        for path in ("apikey", "tradingaccount", f"user/{user.pk}/change"):
            page.goto(f"{url}/admin/accounts/{path}/")
            page.locator("#content").wait_for()

    visit(steps)


@pytest.mark.parametrize(
    ("system", "themes"),
    [
        ({"color_scheme": "dark"}, ["dark", "light", "contrast", "dark"]),
        ({"color_scheme": "light"}, ["light", "contrast", "dark", "light"]),
        ({"color_scheme": "light", "contrast": "more"}, ["contrast", "dark", "light", "contrast"]),
    ],
)
def test_theme_follows_the_system_until_chosen_and_then_stays(
    visit: Visit, system: dict[str, str], themes: list[str]
) -> None:
    words = {"dark": "dark", "light": "light", "contrast": "high-contrast"}

    def steps(page: Page, url: str) -> None:
        def theme() -> str:
            return str(page.evaluate("document.documentElement.dataset.theme"))

        page.goto(url)
        assert theme() == themes[0]
        page.get_by_role("button", name=f"Use the {words[themes[1]]} theme").click()
        assert theme() == themes[1]
        page.goto(f"{url}/account/log-in")
        assert theme() == themes[1]
        page.get_by_role("button", name=f"Use the {words[themes[2]]} theme").click()
        page.goto(f"{url}/admin/")
        assert theme() == themes[2]
        assert page.get_by_role("button", name=f"Use the {words[themes[3]]} theme").is_visible()

    visit(steps, **system)


def test_phone_width(visit: Visit, make_user: Callable[..., User]) -> None:
    user = make_user("a-rather-long-name-for-an-address@subdomain.example.org")
    account_id = main_account_id(user_id=user.pk)
    assert account_id is not None
    issue_hmac_key(account_id=account_id, terms=KeyTerms(label="m" * 60, can_read=True, can_trade=True))

    def steps(page: Page, url: str) -> None:
        def fits() -> bool:
            return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))

        page.goto(url)
        assert fits()
        assert not page.locator("#site-nav").get_by_role("link", name="Markets").is_visible()
        page.get_by_role("button", name="Menu").click()
        assert page.locator("#site-nav").get_by_role("link", name="Markets").is_visible()
        _log_in(page, url, user.email)
        assert fits()
        for path in ("/account/api-keys", "/account/two-factor", "/account/password"):
            page.goto(url + path)
            assert fits(), path
        page.goto(f"{url}/account/api-keys")
        assert page.get_by_role("button", name="Revoke").is_visible()

    visit(steps, viewport=PHONE)


def test_works_without_scripts(visit: Visit, make_user: Callable[..., User], live_server: Any, settings: Any) -> None:
    settings.PASSKEY_ORIGIN = live_server.url
    make_user("alice@example.org")

    def steps(page: Page, url: str) -> None:
        page.goto(f"{url}/login/passkey")
        assert page.get_by_role("button", name="Use a passkey").is_disabled()
        page.get_by_text("This needs JavaScript, which is off here or did not load.").wait_for()
        _log_in(page, url, "alice@example.org")
        assert page.locator("#site-nav").get_by_role("link", name="Markets").is_visible()
        page.get_by_text("Account", exact=True).first.click()
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You are logged out.").wait_for()

    visit(steps, viewport=PHONE, java_script_enabled=False)


def test_a_passkey_made_shown_and_refused(
    visit: Visit, make_user: Callable[..., User], live_server: Any, settings: Any
) -> None:
    """Chromium's virtual authenticator: added, a log-in by itself with the keyboard, a second step, not verified."""
    settings.PASSKEY_ORIGIN, settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = live_server.url, [live_server.url]
    make_user("alice@example.org")

    def steps(page: Page, url: str) -> None:
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, "isUserVerified": True}})
        _log_in(page, url, "alice@example.org")
        page.goto(f"{url}/account/passkeys")
        page.get_by_role("link", name="Add a passkey").click()
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm", exact=True).click()
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Add a passkey").click()
        page.locator("#recovery-codes li").first.wait_for()
        page.goto(f"{url}/account/passkeys/add")
        page.get_by_label("Name").fill("again")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_text("This device has a passkey of your account already.").wait_for()

        def log_out() -> None:
            page.get_by_text("Account", exact=True).click()
            page.get_by_role("button", name="Log out").click()
            page.get_by_text("You are logged out.").wait_for()

        log_out()
        page.goto(f"{url}/account/log-in?next=/account/passkeys")
        page.get_by_role("link", name="Log in with a passkey").click()
        page.get_by_role("button", name="Use a passkey").press("Enter")
        page.wait_for_url(f"{url}/account/passkeys")
        assert page.get_by_role("heading", level=3).inner_text() == "laptop"
        log_out()
        page.goto(f"{url}/account/log-in")
        page.get_by_label("E-mail").fill("alice@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        button = page.get_by_role("button", name="Use a passkey")
        verified = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
        devtools.send("WebAuthn.setUserVerified", verified)
        button.click()
        page.get_by_text("It was cancelled, or there is no passkey for it here.").wait_for()
        devtools.send("WebAuthn.setUserVerified", verified | {"isUserVerified": True})
        button.click()
        page.wait_for_url(f"{url}/account/")

    visit(steps)
