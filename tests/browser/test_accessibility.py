"""Every page in the system's Chromium: WCAG 2.2 AA by axe-core, three themes, desktop and phone, the keyboard alone.

The pages are those of tests/pages/places.py, so a new one is looked at as soon as it has its row there. Playwright
runs in a thread of its own: its synchronous interface keeps an event loop in its thread, where Django's ORM refuses
to work.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, ConsoleMessage, sync_playwright

from apps.accounts.models import User
from apps.controls.services.approvals import ask_approval
from tests.browser.conftest import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES
from tests.browser.fake_exchange import FakeExchange
from tests.pages.places import SITE
from tests.pages.world import World, make_world

AXE = settings.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
RUN = """async ([tags, only, not]) => {
  const chosen = only ? { type: "rule", values: only } : { type: "tag", values: tags };
  const options = { runOnly: chosen, resultTypes: ["violations"] };
  if (!only) options.rules = { "target-size": { enabled: true } };
  const { violations } = await axe.run({ exclude: document.querySelectorAll(not) }, options);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""
# Where the focus is: what it is, whether one can see it and that it is there.
FOCUS = """() => {
  const node = document.activeElement;
  if (node === null || node === document.body) return null;
  node.dataset.visited = String(Number(node.dataset.visited || 0) + 1);
  const box = node.getBoundingClientRect();
  const marked = node.matches(".segment input") ? node.nextElementSibling : node;
  const style = getComputedStyle(marked);
  return {
    name: `${node.tagName.toLowerCase()}${node.id ? "#" + node.id : ""} ${node.textContent.trim().slice(0, 30)}`,
    times: Number(node.dataset.visited),
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    inMain: document.getElementById("main")?.contains(node) ?? false,
  };
}"""
TABS_MAX = 400
NODES_MAX = 4_000
# Of Django's widget for many choices, whose script writes them: a label on a <span>, which adds to a labelled control.
NOT_OURS = ".help-tooltip.search-label-icon"

# `make test` has all pages on the desktop in dark and every fourth also on the phone and in the other themes, since all
# are made of the same parts; `make long` has all pages everywhere.
EVERYWHERE = pytest.mark.parametrize(
    "every", [pytest.param(4, id="sample"), pytest.param(1, id="all", marks=pytest.mark.long)]
)

InBrowser = Callable[[Callable[[Browser], Any]], Any]


@pytest.fixture(scope="module")
def in_browser() -> Iterator[InBrowser]:
    """in_browser(steps): runs steps(browser) in the thread that has the one browser of this module."""
    path = next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM_NAMES)}): the pages are NOT tested")
    with ThreadPoolExecutor(1) as pool:
        playwright = pool.submit(lambda: sync_playwright().start()).result()
        browser = pool.submit(
            lambda: playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_ARGUMENTS)
        ).result()
        yield lambda steps: pool.submit(steps, browser).result()
        pool.submit(browser.close).result()
        pool.submit(playwright.stop).result()


class Visitor:
    """One browser window of somebody; `complaints` has what no page may do."""

    def __init__(self, browser: Browser, url: str, session: str = "") -> None:
        self.url = url
        self.complaints: list[str] = []
        context = browser.new_context(viewport=DESKTOP, color_scheme="dark", reduced_motion="reduce")
        if session:
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        self.page.on("console", self._told)
        self.page.on("framenavigated", lambda _: self._judges(False))
        self._axe = AXE.read_text()
        self._judges(False)

    def _judges(self, now: bool) -> None:
        self._is_judged = now

    def _told(self, message: ConsoleMessage) -> None:
        address = message.location.get("url")
        if "Content Security Policy" in message.text:
            # The styles that axe puts into a page are refused; it has no address.
            is_meant = self._is_judged and not address
        else:
            # That a page of ours is an answer with 404 or 422 is meant.
            is_meant = address in (self.page.url, "")
        if message.type == "error" and not is_meant:
            self.complaints.append(f"{self.page.url}: {message.text} {message.location}")

    def look(self, path: str, *, everywhere: bool = True) -> None:
        self.page.set_viewport_size(DESKTOP)
        self.page.goto(self.url + path)
        self.judge(path, everywhere=everywhere)

    def judge(self, name: str, *, everywhere: bool = True) -> None:
        """The page that is open: everything in dark on both sizes, colours in the other themes; or not `everywhere`,
        then on the desktop in dark, and whether it is wider than a phone.

        A page of thousands of nodes, which are all alike, is judged once.
        """
        self._judges(True)
        self.page.evaluate(self._axe)
        if self.page.evaluate("document.getElementsByTagName('*').length") > NODES_MAX:
            self._note(name, self.page.evaluate(RUN, [TAGS, None, NOT_OURS]))
            return
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            self.page.set_viewport_size(viewport)
            if everywhere or size == "desktop":
                self._note(f"{name} {size}", self.page.evaluate(RUN, [TAGS, None, NOT_OURS]))
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.complaints.append(f"{name} {size}: wider than the window")
        for theme in ("light", "contrast") if everywhere else ():
            self.page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            self._note(f"{name} {theme}", self.page.evaluate(RUN, [TAGS, ["color-contrast"], NOT_OURS]))

    def _note(self, where: str, violations: list[str]) -> None:
        self.complaints += [f"{where}: {violation}" for violation in violations]

    def walk(self, path: str) -> None:
        """Tab from the top of the page to its end: each stop is seen and marked, and none holds the focus."""
        self.page.set_viewport_size(DESKTOP)
        self.page.goto(self.url + path)
        self.page.keyboard.press("Tab")
        first = self.page.evaluate(FOCUS)
        assert first["name"].endswith("Skip to content"), first
        stops = 0
        for _ in range(TABS_MAX):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(FOCUS)
            if stop is None or stop["times"] > 1:
                break
            stops += 1
            self.complaints += [f"{path}: {stop['name']} not {what}" for what in ("seen", "outlined") if not stop[what]]
        else:
            self.complaints.append(f"{path}: no end after {TABS_MAX} stops")
        focusable = self.page.locator("a[href]:visible, button:visible, summary:visible, main input:visible").count()
        if stops < focusable // 2:
            self.complaints.append(f"{path}: {stops} stops for {focusable} controls")
        self.page.goto(self.url + path)
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Tab")
        after = self.page.evaluate(FOCUS)
        if after is not None and self.page.locator("main a, main button, main input").count() and not after["inMain"]:
            self.complaints.append(f"{path}: the skip link leads to {after['name']}")


def paths_of_site(world: World, role: str, start: str) -> list[str]:
    """Pages of the table that this one sees below `start`."""
    return [
        world.address(place.address or place.route)
        for place in SITE
        if place.page
        and place.route.startswith(start)
        and (place.get == 200 if role == "owner" else place.expected(role)[0] == 200)
        and (role == "owner" or place.get != 200 or not place.route.startswith("account/"))
    ]


@pytest.fixture
def world(live_server: Any, transactional_db: None) -> World:
    return make_world()


def check(in_browser: InBrowser, url: str, session: str, steps: Callable[[Visitor], None]) -> None:
    def run(browser: Browser) -> list[str]:
        visitor = Visitor(browser, url, session)
        steps(visitor)
        visitor.page.context.close()
        return visitor.complaints

    complaints = in_browser(run)
    assert not complaints, "\n".join(complaints)


@EVERYWHERE
def test_public_pages(in_browser: InBrowser, live_server: Any, world: World, every: int) -> None:
    def steps(visitor: Visitor) -> None:
        paths = [*paths_of_site(world, "anonymous", ""), "/no/such/page"]
        for number, path in enumerate(path for path in paths if not path.startswith(("/trade", "/markets"))):
            visitor.look(path, everywhere=number % every == 0)
        # What is said after a mistake.
        visitor.page.goto(f"{live_server.url}/account/sign-up")
        visitor.page.get_by_role("button", name="Create account").click()
        visitor.judge("sign-up with errors")

    check(in_browser, live_server.url, "", steps)


@EVERYWHERE
def test_account_pages(in_browser: InBrowser, live_server: Any, world: World, every: int) -> None:
    def steps(visitor: Visitor) -> None:
        for number, path in enumerate(paths_of_site(world, "owner", "account/")):
            visitor.look(path, everywhere=number % every == 0)

    check(in_browser, live_server.url, world.sessions["owner"], steps)


def test_staff_pages(in_browser: InBrowser, live_server: Any, world: World) -> None:
    """One of each kind; they are all made by the same templates."""

    asked = ask_approval(
        kind="staff-role", subject=f"user:{world.people['owner'].pk}", payload={"role": "Support"}, reason="joins us",
        by=User.objects.create_superuser("second@example.org", None),
    )  # fmt: skip
    approval = f"controls/approvalrequest/{asked.pk}/change/"

    def steps(visitor: Visitor) -> None:
        for path in ("", "accounts/user/", "orders/parkedorder/", "accounts/user/{alice}/change/", approval):
            visitor.look(world.address(f"admin/{path}"))

    world.confirmed("root")
    check(in_browser, live_server.url, world.sessions["root"], steps)


def test_markets_and_trading(in_browser: InBrowser) -> None:
    with FakeExchange(lively=False) as exchange:
        exchange.allocates = True

        def steps(visitor: Visitor) -> None:
            visitor.page.goto(exchange.base_url + "/trade/BTCUSDT")
            visitor.page.wait_for_selector("#trade[data-connection=live]")
            visitor.page.get_by_label("Allocate to sub-accounts").select_option("3")
            visitor.page.get_by_label("Two (1003) asks for").fill("0.1")
            visitor.judge("trade")
            visitor.page.goto(exchange.base_url + "/markets")
            visitor.page.locator("tbody tr").first.wait_for()
            visitor.judge("markets")

        check(in_browser, exchange.base_url, "", steps)


def test_the_keyboard_alone(in_browser: InBrowser, live_server: Any, world: World) -> None:
    """WCAG 2.1.1, 2.1.2, 2.4.1, 2.4.3, 2.4.7, 2.4.11."""

    def steps(visitor: Visitor) -> None:
        for path in ("/", "/account/", "/account/api-keys", "/account/sub-accounts"):
            visitor.walk(path)

    check(in_browser, live_server.url, world.sessions["owner"], steps)


def test_menus_by_keyboard(in_browser: InBrowser, live_server: Any, world: World) -> None:
    def steps(visitor: Visitor) -> None:
        page = visitor.page
        page.goto(f"{live_server.url}/account/")
        summary = page.locator("details.menu > summary")
        summary.focus()
        page.keyboard.press("Enter")
        page.locator("details.menu[open]").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.menu-panel') !== null")
        page.keyboard.press("Escape")
        page.locator("details.menu:not([open])").wait_for()
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.set_viewport_size(PHONE)
        toggle = page.get_by_role("button", name="Menu")
        toggle.focus()
        page.keyboard.press("Space")
        assert toggle.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#site-nav') !== null")
        page.keyboard.press("Escape")
        assert toggle.get_attribute("aria-expanded") == "false"
        assert page.evaluate("document.activeElement.id") == "nav-toggle"

    check(in_browser, live_server.url, world.sessions["owner"], steps)


def test_the_walk_would_notice(in_browser: InBrowser, live_server: Any, world: World) -> None:
    """A page whose focus cannot be seen, one that axe has to complain about, and a style that the policy refuses."""

    def run(browser: Browser) -> list[str]:
        visitor = Visitor(browser, live_server.url)
        visitor.page.goto(live_server.url)
        visitor.page.evaluate(
            """() => {
              const sheet = new CSSStyleSheet();
              sheet.replaceSync(":focus-visible { outline: none } h1 { color: #888; background: #777 }");
              document.adoptedStyleSheets = [sheet];
            }"""
        )
        visitor.page.evaluate(
            "document.head.append(Object.assign(document.createElement('style'), {textContent: 'x{}'}))"
        )
        visitor.judge("landing")
        visitor.page.keyboard.press("Tab")
        visitor.complaints.append(f"outlined: {visitor.page.evaluate(FOCUS)['outlined']}")
        visitor.page.context.close()
        return visitor.complaints

    complaints = in_browser(run)
    assert any("color-contrast: h1" in complaint for complaint in complaints), complaints
    assert sum("Content Security Policy" in complaint for complaint in complaints) == 1, complaints
    assert complaints[-1] == "outlined: False"
