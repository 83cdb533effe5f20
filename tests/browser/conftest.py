"""A headless Chromium of the system, driven by Playwright, for tests of whole pages.

Everything is module-scoped: Playwright's synchronous interface keeps an event loop in this thread while it lives, and
neither Django's ORM nor asyncio tests may run beside that.
"""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

OpenPage = Callable[..., Page]

# Longer than any period at which the page refreshes something by itself.
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM_NAMES)}): the pages are NOT tested")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of this test wrote to the console as errors, script errors and CSP violations included."""
    return []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[OpenPage]:
    """`open_page(url, viewport=..., color_scheme=...)`: a page in a fresh context, with its console watched."""
    contexts = []

    def take(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"{message.text} ({message.location.get('url')})")

    def open_(url: str, **options: object) -> Page:
        context = browser.new_context(**({"viewport": DESKTOP, "color_scheme": "dark"} | options))
        contexts.append(context)
        context.set_default_timeout(40_000)
        page = context.new_page()
        page.on("console", take)
        page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
