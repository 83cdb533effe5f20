"""Secrets that go through every flow of an account are found where they belong and nowhere else (threat-T27).

Searched: every page and its headers, every log line, every mail, the audit log, and each column of each table, as text.
"""

import base64
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from apps.accounts.models import ApiKey, User
from apps.accounts.services.keyissue import NewApiKey
from apps.audit.models import Record
from apps.notifications.content import unseal
from apps.notifications.models import OutgoingEmail
from tests.accounts.mailbox import LINK, link_to, submit, token_of
from tests.codes import fresh_code
from tests.platformapi.conftest import BASE, Program, fresh_counts
from tests.security.logged import log_of

__all__ = ["fresh_counts"]
pytestmark = pytest.mark.django_db
EMAIL = "canary@example.org"
PASSWORDS = ("first canary Zx81-kestrel", "second canary Qy73-kestrel")
TYPED = "wrong canary Wv55-kestrel"
# A session is found by its key, so the key stands there; only the site may read these (nebannpet/roles.py).
KEEPS_SESSION_KEYS = {("django_session", "session_key"), ("accounts_opensession", "session_id")}


class Watched(Client):
    """A browser that keeps all that it was answered, by secret-free name of the request."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(raise_request_exception=False, **kwargs)
        self.answers: list[tuple[str, str]] = []

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        path = LINK.sub("link", "http://x" + request["PATH_INFO"])
        # Cookies are where a session's key and a browser's token belong.
        headers = "\n".join(f"{key}: {value}" for key, value in response.items())
        self.answers.append((f"{request['REQUEST_METHOD']} {path}", headers + "\n" + response.content.decode()))
        return response

    def secrets(self) -> dict[str, str]:
        cookies = {"session key": settings.SESSION_COOKIE_NAME, "token of the browser": settings.DEVICE_COOKIE_NAME}
        return {what: self.cookies[name].value for what, name in cookies.items() if name in self.cookies}


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    with log_of(request.param, monkeypatch) as stream:
        yield stream


@pytest.fixture
def browser() -> Watched:
    return Watched()


def go_through(browser: Watched, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, int]]:
    """What was secret, by what it is; and in how many answers it belongs."""
    first, second = PASSWORDS
    secrets: dict[str, str] = {"password": first, "new password": second, "what was typed": TYPED}
    belongs: dict[str, int] = {}
    assert submit(browser, "/account/sign-up", email=EMAIL, password=first).status_code == 302
    sign_up = link_to(EMAIL)
    assert submit(browser, sign_up, password=TYPED).status_code == 422
    assert submit(browser, sign_up, password=first).status_code == 302
    secrets["sign-up token"] = token_of(sign_up)
    browser.post("/account/log-out")
    # Typed into the wrong field, too.
    assert submit(browser, "/account/log-in", username=EMAIL, password=TYPED).status_code == 422
    assert submit(browser, "/account/log-in", username=EMAIL, password=first).status_code == 302
    secrets |= browser.secrets()

    assert submit(browser, "/account/confirm-it-is-you", password=first).status_code == 302
    assert submit(browser, "/account/two-factor/begin", page="/account/two-factor").status_code == 302
    page = browser.get("/account/two-factor/app").content.decode()
    (secrets["app secret"],) = re.findall(r'id="totp-secret">([A-Z2-7]{32})<', page)
    code = fresh_code(secrets["app secret"])
    shown = submit(browser, "/account/two-factor/app", code=code).content.decode()
    codes = re.findall(r"<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4})+)</li>", shown)
    assert len(codes) == 10
    secrets |= {f"recovery code {number}": each for number, each in enumerate(codes)}
    belongs |= {f"recovery code {number}": 1 for number in range(10)}
    # The page that shows it, and the same page as the token for its form was read from it.
    belongs["app secret"] = 2

    key = submit(browser, "/account/api-keys", label="bot", can_read="on", password=first).content.decode()
    (secrets["API secret"],) = re.findall(r'id="new-secret"[^>]*>([A-Za-z0-9]{64})<', key)
    belongs["API secret"] = 1
    csrf = browser.cookies["csrftoken"].value
    secrets["ticket"] = browser.post("/trade/ticket", headers={"X-CSRFToken": csrf}).json()["ticket"]
    belongs["ticket"] = 1
    # Who sends a field that nobody knows is told its name.
    belongs["what was typed"] = 1
    secrets["API secret of the platform API"] = use_platform_api(browser, monkeypatch)
    belongs["API secret of the platform API"] = 1

    def fails(**_: Any) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr("apps.accounts.views.account.change_password", fails)
        assert submit(browser, "/account/password", current=first, new=second).status_code == 500
    assert Client(enforce_csrf_checks=True).post("/account/log-in", {"password": first}).status_code == 403
    assert submit(browser, "/account/forgot-password", email=EMAIL).status_code == 302
    reset = link_to(EMAIL)
    secrets["reset token"] = token_of(reset)
    assert browser.get(f"{reset}x").status_code in (404, 410)
    assert submit(browser, reset, new=second).status_code == 302
    later = Watched()
    assert submit(later, "/account/log-in", username=EMAIL, password=second).status_code == 302
    later.get("/account/log-in/code")
    browser.answers += later.answers
    secrets |= {f"{what}, later": value for what, value in later.secrets().items()}
    return secrets, belongs


def use_platform_api(browser: Watched, monkeypatch: pytest.MonkeyPatch) -> str:
    """In the browser's session, which has confirmed to be there, and by a key that it makes: the key's secret."""

    def send(method: str, path: str, body: Any = None, query: str = "") -> Any:
        headers = {"X-CSRFToken": browser.cookies["csrftoken"].value}
        raw = b"" if body is None else json.dumps(body).encode()
        address = BASE + path + (f"?{query}" if query else "")
        return browser.generic(method, address, raw, "application/json", headers=headers)

    # Refusals of texts in a field of their own, in a wrong one, as a field's name, and in what is no JSON.
    for body in ({"code": TYPED}, {"password": TYPED}, {"label": TYPED}, {TYPED: 1}, {"code": [TYPED]}, TYPED):
        assert send("POST", "/confirmations", body).status_code in (400, 401, 403, 422), body
    broken = browser.generic("POST", f"{BASE}/confirmations", f'{{"password": "{TYPED}', "application/json")
    assert broken.status_code == 400
    account = send("GET", "/accounts").json()["items"][0]["id"]
    wanted = {"account": account, "label": "program", "can_read": True, "can_trade": False}
    assert send("POST", "/api-keys", {**wanted, "code": TYPED}).status_code in (400, 422)
    made = send("POST", "/api-keys", wanted).json()
    for path in ("/profile", "/sessions", "/api-keys", f"/api-keys/{made['id']}", "/accounts", "/notices", "/balances"):
        assert send("GET", path).status_code == 200, path
    key = ApiKey.objects.get(pk=made["id"])
    program = Program(NewApiKey(key=key, secret=made["secret"]))
    by_mistake = {"X_API_Key": key.public_key, "X_API_Signature": made["secret"]}
    for wrong, status in (({}, 200), (by_mistake, 401), ({"X_API_Key": made["secret"]}, 401)):
        answer = program.send("GET", "/accounts", **wrong)
        assert answer.status_code == status, wrong
        browser.answers.append((f"signed {wrong.keys()}", answer.content.decode() + f"{answer.headers}"))

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of the API")

    with monkeypatch.context() as patch:
        patch.setattr("apps.accounts.api.profile.ConfirmationsView.post", fails)
        assert send("POST", "/confirmations", {"code": TYPED}).status_code == 500
    for page in ("/docs/platform-api", "/docs/platform-api/reference", f"{BASE}/openapi.json"):
        assert browser.get(page).status_code == 200
    return str(made["secret"])


def spellings(secret: str) -> set[str]:
    """As it is, and as the bytes of it would stand in a column that is shown as text."""
    found = {secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("=")}
    if re.fullmatch(r"[A-Z2-7]{32}", secret):
        found.add(base64.b32decode(secret).hex())
    if re.fullmatch(r"[A-Z2-7-]{19,}", secret):
        found |= {secret.replace("-", ""), secret.replace("-", "").encode().hex()}
    return found


def columns() -> Iterator[tuple[str, str, str]]:
    """Table, column, and all of its values as one text; secret columns in hexadecimal, as PostgreSQL writes bytes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        for table, column in cursor.fetchall():
            quoted = connection.ops.quote_name
            cursor.execute(f"SELECT string_agg({quoted(column)}::text, chr(10)) FROM {quoted(table)}")
            if text := cursor.fetchone()[0]:
                yield table, column, text


def test_each_is_where_it_belongs(browser: Watched, written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, belongs = go_through(browser, monkeypatch)
    found = []
    for what, secret in secrets.items():
        assert len(secret) >= 19, what
        seen = [name for name, answer in browser.answers if any(each in answer for each in spellings(secret))]
        if "token" in what and "browser" not in what:
            # The page of a link has it in its form's address or none.
            seen = [name for name in seen if not name.startswith(("GET http://x/account/", "GET link"))]
        if len(seen) != belongs.get(what, 0):
            found.append(f"{what}: in {len(seen)} answers: {seen}")
        if any(each in written.getvalue() for each in spellings(secret)):
            found.append(f"{what}: in the log")
    mails = [unseal(mail.content, message_id=mail.message_id) for mail in OutgoingEmail.objects.all() if mail.content]
    told = "\n".join(f"{mail}" for mail in mails)
    found += [f"{what}: in a mail" for what, secret in secrets.items() if "token" not in what and secret in told]
    assert secrets["reset token"] in told, "the links belong there"
    for table, column, text in columns():
        for what, secret in secrets.items():
            if "session key" in what and (table, column) in KEEPS_SESSION_KEYS:
                continue
            if any(each in text for each in spellings(secret)):
                found.append(f"{what}: in {table}.{column}")
    assert not found, "\n".join(found)
    assert Record.objects.filter(action="user.password-changed").exists()
    assert "a fault of the API" in written.getvalue()
    assert "a fault of ours" in written.getvalue(), "the log has what failed"


def test_the_search_would_find_one() -> None:
    User.objects.create_user(EMAIL, PASSWORDS[0], mail_phrase=TYPED)
    assert ("accounts_user", "mail_phrase") in {(table, column) for table, column, text in columns() if TYPED in text}


def test_what_a_client_sends_begins_no_line_of_the_log(browser: Watched, written: io.StringIO) -> None:
    browser.get("/no/such%0D%0Aforged%20line")
    browser.get("/account/let-me-in/%0Aforged")
    submit(browser, "/account/log-in", username="a\r\nforged line", password="x")
    browser.get("/account/devices", headers={"User-Agent": "x\r\nforged line", "X-Request-Id": "1\nforged line"})
    lines = written.getvalue().splitlines()
    assert any("forged" in line for line in lines), "the path of what is not there is told"
    assert not [line for line in lines if line.lstrip().startswith("forged")]
    if lines[0].startswith("{"):
        assert all(json.loads(line) for line in lines)
