"""Banners and notices on an open page, in the system's Chromium, under the site's strict content policy (P4, U4)."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connections
from playwright.sync_api import Page, expect, sync_playwright
from pytest_django import Settings

from apps.notifications.models import Severity, Topic
from apps.notifications.services import notify, withdraw_banner
from tests.browser.conftest import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES, DESKTOP
from tests.notifications.test_banners import shown
from tests.notifications.test_live import Site, _browser, _listens, _soon, _user, site

__all__ = ["site"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_an_open_page_has_banners_and_notices_as_they_come(site: Site, settings: Settings) -> None:
    path = next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM_NAMES)}): the page is NOT tested")
    settings.LIVE_PATH = "/live/"
    alice = _user("alice")
    cookie = {"name": "sessionid", "value": _browser(alice).cookies["sessionid"].value, "url": site.origin}
    complaints: list[str] = []

    # The ORM refuses to work in a thread with Playwright's event loop.
    with ThreadPoolExecutor(1) as orm, ThreadPoolExecutor(1) as pool:

        def do(what: Callable[[], Any]) -> Any:
            return orm.submit(what).result()

        def steps() -> None:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_ARGUMENTS)
                context = browser.new_context(viewport=DESKTOP)
                context.add_cookies([cookie])  # type: ignore[list-item]
                context.set_default_timeout(60_000)
                page = context.new_page()
                page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
                page.on("pageerror", lambda error: complaints.append(str(error)))
                _walk(page, site, do, alice)
                browser.close()

        pool.submit(steps).result()
        orm.submit(connections.close_all).result()
    assert complaints == []


def _walk(page: Page, site: Site, do: Callable[[Callable[[], Any]], Any], alice: Any) -> None:
    stays = do(lambda: shown(text="stays", severity=Severity.CRITICAL, is_dismissible=False))
    page.goto(f"{site.origin}/account/notices")
    preferences = page.get_by_role("link", name="Choose what you are told")
    preferences.focus()

    do(lambda: shown(text="<b>comes</b>", link="/markets", link_text="Why"))
    banner = page.locator(".banner", has_text="<b>comes</b>")
    expect(banner).to_be_visible(timeout=60_000)
    expect(banner.get_by_role("link", name="Why")).to_have_attribute("href", "/markets")
    expect(preferences).to_be_focused()

    # A hint before the site process takes any would be lost.
    do(lambda: _soon(_listens))
    do(lambda: notify(user_id=alice.pk, topic=Topic.SERVICE, title="a"))
    expect(page.locator("#unread-notices")).to_contain_text("1", timeout=60_000)
    expect(page.locator("#live-status")).to_have_text("One notice is not read.")

    banner.get_by_role("button", name="Close this announcement").press("Enter")
    expect(banner).to_have_count(0)
    page.reload()
    expect(page.locator("#banners")).to_contain_text("stays")
    expect(banner).to_have_count(0)
    do(lambda: shown(text="comes later"))
    closing = page.locator(".banner", has_text="comes later")
    expect(closing).to_be_visible(timeout=60_000)
    expect(banner).to_have_count(0)

    do(lambda: withdraw_banner(banner_id=stays.pk, asked_by="incidents", reason="over"))
    expect(page.locator("#banners")).not_to_contain_text("stays", timeout=60_000)
    ended = page.locator("#logged-out")
    expect(ended).to_be_hidden()
    do(lambda: Session.objects.all().delete())
    expect(ended).to_be_visible(timeout=60_000)
