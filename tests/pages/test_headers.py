"""What a browser is told on every page: a strict CSP, and pages that live under it (threat-T15, requirement U4)."""

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client

from tests.accounts.people import PASSWORD
from tests.pages.inline import Inline
from tests.pages.places import MODELS, SITE
from tests.pages.world import World

# Issue 7, item 12, to the letter.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp-report"
)
TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"
REPORT_ONLY = "require-trusted-types-for 'script'; report-uri /csp-report"
WANTED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def wrong_with(client: Client, path: str) -> list[str]:
    """Headers that are not as they should be, and what stands inline or comes from elsewhere."""
    response = client.get(path)
    enforced = path.startswith(("/account/", "/login/", "/trade"))
    # The page of one e-mail may do even less.
    email = path.startswith("/dev/mail/") and path.endswith("/html")
    wanted = WANTED | {"Content-Security-Policy": POLICY + f"; {TRUSTED_TYPES}" * enforced + "; sandbox" * email}
    if not enforced:
        wanted["Content-Security-Policy-Report-Only"] = REPORT_ONLY
    wrong = [f"{path}: {name}: {response.get(name)}" for name, value in wanted.items() if response.get(name) != value]
    if enforced and "Content-Security-Policy-Report-Only" in response:
        wrong.append(f"{path}: reports only, too")
    if "camera=()" not in response.get("Permissions-Policy", ""):
        wrong.append(f"{path}: Permissions-Policy")
    parser = Inline()
    if not (path.startswith("/static/") or response.streaming):
        parser.feed(response.content.decode())
    return wrong + [f"{path}: {found}" for found in parser.found]


def test_every_answer_of_the_site(world: World) -> None:
    """Also those that are no page, or not 200."""
    wrong = []
    for place in SITE:
        for role in ("anonymous", "owner") if place.anonymous else ("owner",):
            wrong += wrong_with(world.client(role), world.address(place.address or place.route))
    for path in (
        "/no/such/page",
        "/account/no/such/page",
        "/account/confirm/x",
        "/trade/NONE",
        "/static/site/site.css",
    ):
        wrong += wrong_with(world.client("anonymous"), path)
    assert not wrong, "\n".join(wrong)


def test_every_page_of_the_admin(world: World) -> None:
    root = world.confirmed("root")
    wrong = wrong_with(world.client("anonymous"), "/admin/login/")
    for path in ("", "accounts/", "accounts/user/{alice}/history/"):
        wrong += wrong_with(root, world.address(f"admin/{path}"))
    for model, rights in MODELS.items():
        wrong += wrong_with(root, f"/admin/{model}/")
        if "add" in rights:
            wrong += wrong_with(root, f"/admin/{model}/add/")
        first = apps.get_model(*model.split("/")).objects.values_list("pk", flat=True).first()
        if first is not None:
            wrong += wrong_with(root, f"/admin/{model}/{first}/change/")
    assert not wrong, "\n".join(wrong)


def test_the_check_would_notice() -> None:
    parser = Inline()
    parser.feed('<p style="x"><script>x()</script><style></style><a href="javascript:x" onclick="y">')
    assert len(parser.found) == 5


def test_cookies_cannot_be_read_by_script_or_sent_across_sites(world: World) -> None:
    answer = world.send("anonymous", "POST", "/account/log-in", {"username": "bob@example.org", "password": PASSWORD})
    cookie = answer.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_every_page_is_labelled_and_can_be_skipped_into(world: World) -> None:
    wrong = []
    for place in SITE:
        if place.page:
            role = "anonymous" if place.get == 302 else "owner"
            html = world.client(role).get(world.address(place.address or place.route)).content.decode()
            for piece in ('<html lang="en">', 'class="skip-link" href="#main"', 'id="main"', "<h1", "<title>"):
                if html.count(piece) != 1:
                    wrong.append(f"/{place.route}: {html.count(piece)} times {piece}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("secure", [True, False])
def test_https_is_kept_where_the_settings_say_so(world: World, settings: object, secure: bool) -> None:
    """In production (nebannpet/settings/production.py) for a year; a test of the settings holds the number."""
    settings.SECURE_HSTS_SECONDS = 31_536_000  # type: ignore[attr-defined]
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True  # type: ignore[attr-defined]
    header = Client().get("/", secure=secure).get("Strict-Transport-Security")
    assert header == ("max-age=31536000; includeSubDomains" if secure else None)
