"""What a browser is told on every page: a strict CSP, and pages that live under it (threat-T15, requirement U4)."""

from html.parser import HTMLParser

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db

PAGES = [
    *("/", "/account/sign-up", "/account/check-mail", "/account/log-in", "/account/forgot-password"),
    *("/account/confirm/x", "/account/reset-password/x", "/dev/mail", "/no/such/page", "/admin/login/"),
]
ACCOUNT_PAGES = ["/account/", "/account/email", "/account/mail-phrase", "/account/api-keys", "/account/password"]
ADMIN_PAGES = [
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/tradingaccount/",
    "/admin/accounts/apikey/",
    "/admin/accounts/tradingticket/",
]


# Issue 7, item 12, to the letter.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp-report"
)


class Inline(HTMLParser):
    """Collects everything that the CSP would block, or that would need a wider one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._open = tag
        for name, value in given.items():
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}={value!r}>")
            if name in {"src", "href", "action"} and value and value.split(":")[0] in {"http", "https", "javascript"}:
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "style":
            self.found.append("<style>")

    def handle_data(self, data: str) -> None:
        if self._open == "script" and data.strip():
            self.found.append(f"inline script {data.strip()[:40]!r}")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def _check(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (200, 404, 410)
    policy, reported = response["Content-Security-Policy"], response.get("Content-Security-Policy-Report-Only")
    if path.startswith(("/account/", "/trade")):
        assert (policy, reported) == (POLICY + "; require-trusted-types-for 'script'; trusted-types 'none'", None)
    else:
        assert (policy, reported) == (POLICY, "require-trusted-types-for 'script'; report-uri /csp-report")
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    parser = Inline()
    parser.feed(response.content.decode())
    assert parser.found == []


@pytest.mark.parametrize("path", PAGES)
def test_public_pages(path: str) -> None:
    _check(Client(), path)


@pytest.mark.parametrize("path", ACCOUNT_PAGES)
def test_account_pages(alice_client: Client, path: str) -> None:
    _check(alice_client, path)


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_admin_pages(db: None, path: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    _check(client, path)


def test_the_check_would_notice() -> None:
    parser = Inline()
    parser.feed('<p style="x"><script>x()</script><style></style><a href="javascript:x" onclick="y">')
    assert len(parser.found) == 5


def test_cookies_cannot_be_read_by_script_or_sent_across_sites(alice: User) -> None:
    client = Client()
    client.post("/account/log-in", {"username": alice.email, "password": PASSWORD})
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_every_page_is_labelled_and_can_be_skipped_into(alice_client: Client) -> None:
    for path in ["/", *ACCOUNT_PAGES]:
        page = alice_client.get(path).content.decode()
        assert '<html lang="en">' in page
        assert 'class="skip-link" href="#main"' in page
        assert page.count("<h1") == 1
