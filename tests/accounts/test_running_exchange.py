"""Accounts on a whole running exchange: sign up, make a key, trade with it, and lose it within the promised time."""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from apps.audit.notes import Checkpoint, read_verifier_key, verify
from apps.audit.tree import is_consistent
from tests.accounts.forms import Forms
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code
from tests.dialect import Account, Dialect, demo_account
from tests.stack import TRADING, Stack

pytestmark = pytest.mark.stack

# The limits are 1 s (a revoked key, tested to the figure in tests/gateway/test_bad_requests.py) and 5 s
# (architecture.md section 2); the machine of the tests may be slow.
REVOKED_WITHIN_S = 30.0
SOCKET_CLOSED_WITHIN_S = 40.0
MAIL_WITHIN_S = 60.0
RECORDED_WITHIN_S = 60.0
REFUSED = (401, -2015)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(PROCESSES=f"{TRADING},celery,site") as running:
        yield running


class Browser(Forms):
    """Forms and cookies over the gateway: the steps of these tests."""

    def sign_up(self, email: str, password: str) -> None:
        """With the link out of the development mailbox, once Celery has delivered it there."""
        self.submit("/account/sign-up", "/account/sign-up", email=email, password=password)
        _seconds_until(lambda: "sent</span>" in self.http.get("/dev/mail").text, MAIL_WITHIN_S)
        message = re.search(r"/dev/mail/\d+", self.http.get("/dev/mail").text)
        assert message is not None
        link = re.search(r"/account/confirm/[\w-]{43}", self.http.get(message.group(0)).text)
        assert link is not None
        page = self.submit(link.group(0), link.group(0), password=password)
        assert page.url.path == "/account/", page.text

    def set_up_app(self, password: str) -> None:
        """What a key that trades needs, and a proof of it for the next 15 minutes."""
        self.submit("/account/confirm-it-is-you", "/account/confirm-it-is-you", password=password)
        page = self.submit("/account/two-factor", "/account/two-factor/begin")
        secret = re.search(r'id="totp-secret">([A-Z2-7]{32})<', page.text)
        assert secret is not None, page.text
        self.submit(page.url.path, page.url.path, code=fresh_code(secret.group(1)))

    def new_key(self) -> tuple[str, str]:
        fields = {"label": "bot", "can_read": "on", "can_trade": "on"}
        page = self.submit("/account/api-keys", "/account/api-keys", **fields).text
        key, secret = re.findall(r'<output [^>]*id="new-(?:key|secret)"[^>]*>(\w{64})</output>', page)
        return key, secret

    def revoke_first_key(self) -> None:
        found = re.search(r"/account/api-keys/\d+/revoke", self.http.get("/account/api-keys").text)
        assert found is not None
        self.submit("/account/api-keys", found.group(0))

    @contextlib.contextmanager
    def trading_socket(self, stack: Stack) -> Iterator[ClientConnection]:
        """A socket logged on by a ticket; the same ticket does not open a second one."""
        token = self.http.cookies["csrftoken"]
        ticket = self.http.post("/trade/ticket", headers={"X-CSRFToken": token}).json()["ticket"]
        with _open_socket(stack) as socket:
            assert _ask(socket, "session.logon", ticket=ticket)["status"] == 200
            with _open_socket(stack) as second:
                assert _ask(second, "session.logon", ticket=ticket)["status"] == 401
            yield socket


def _open_socket(stack: Stack) -> ClientConnection:
    return connect(f"{stack.ws_url}/ws-api/v3", origin=Origin(stack.base_url), open_timeout=40)


def _ask(socket: ClientConnection, method: str, **params: Any) -> Any:
    socket.send(json.dumps({"id": method, "method": method, "params": params}))
    return json.loads(socket.recv(timeout=40))


def _answer(client: Dialect) -> tuple[int, Any]:
    status, body = client.signed("GET", "/api/v3/account")
    return status, body.get("code")


def _seconds_until(condition: Callable[[], bool], limit_s: float) -> float:
    started = time.monotonic()
    while not condition():
        elapsed = time.monotonic() - started
        assert elapsed < limit_s, f"not after {elapsed:.2f} s"
        time.sleep(0.01)
    return time.monotonic() - started


def _is_closed(socket: ClientConnection) -> bool:
    try:
        socket.recv(timeout=0)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    return False


def _set_active(stack: Stack, email: str, active: bool) -> None:
    with psycopg.connect(stack.dsn) as database:
        database.execute("UPDATE accounts_user SET is_active = %s WHERE email = %s", (active, email))


def test_key_from_sign_up_to_revocation(stack: Stack) -> None:
    browser = Browser(stack)
    browser.sign_up("carol@example.org", PASSWORD)
    browser.set_up_app(PASSWORD)
    key, secret = browser.new_key()
    with Dialect(stack.base_url, Account("carol@example.org", PASSWORD, key, secret, 0)) as client:
        _seconds_until(lambda: _answer(client) == (200, None), REVOKED_WITHIN_S)
        browser.revoke_first_key()
        took_s = _seconds_until(lambda: _answer(client) == REFUSED, REVOKED_WITHIN_S)
    print(f"revoked after {took_s * 1000:.0f} ms")


def test_switching_a_user_off_and_on(stack: Stack) -> None:
    made = demo_account(stack, "switched", USDT="10")
    with Dialect(stack.base_url, made) as client:
        assert client.balances()["USDT"] == ("10.00000000", "0.00000000")
        _set_active(stack, made.email, False)
        _seconds_until(lambda: _answer(client) == REFUSED, REVOKED_WITHIN_S)
        _set_active(stack, made.email, True)
        _seconds_until(lambda: _answer(client) == (200, None), REVOKED_WITHIN_S)


@pytest.mark.parametrize("way", ["log-out", "password change", "switched off"])
def test_trading_socket_closes(stack: Stack, way: str) -> None:
    made = demo_account(stack, f"socket-{way.replace(' ', '-')}")
    browser = Browser(stack)
    browser.log_in(made)
    with browser.trading_socket(stack) as socket:
        # 503 asks to try again, as where settlement is behind for a moment.
        _seconds_until(lambda: _ask(socket, "account.status")["status"] == 200, REVOKED_WITHIN_S)
        if way == "log-out":
            browser.submit("/account/", "/account/log-out")
        elif way == "password change":
            browser.submit("/account/password", "/account/password", current=made.password, new="a new good password")
        else:
            _set_active(stack, made.email, False)
        took_s = _seconds_until(lambda: _is_closed(socket), SOCKET_CLOSED_WITHIN_S)
    print(f"closed after {took_s * 1000:.0f} ms")


def test_an_open_page_hears_of_banners_and_closes_with_its_session(stack: Stack) -> None:
    """The socket of pages, through the gateway, with the rights that the site process has."""
    made = demo_account(stack, "live")
    browser = Browser(stack)
    browser.log_in(made)
    headers = {"Cookie": f"sessionid={browser.http.cookies['sessionid']}"}
    with (
        psycopg.connect(stack.dsn, autocommit=True) as database,
        connect(
            f"{stack.ws_url}/live/", origin=Origin(stack.base_url), additional_headers=headers, open_timeout=40
        ) as socket,
    ):
        first = json.loads(socket.recv(timeout=40))
        assert (first["type"], first["signed_in"], first["banners"]) == ("banners", True, [])
        database.execute(
            "INSERT INTO notifications_banner (severity, text, link, link_text, audience, is_dismissible, starts_at,"
            " ends_at, made_by, reason) VALUES ('info', 'a banner for open pages', '', '', 'everyone', true, now(),"
            " now() + interval '1 hour', 'test', 'test')"
        )
        _seconds_until(lambda: "a banner for open pages" in socket.recv(timeout=40), SOCKET_CLOSED_WITHIN_S)
        assert "a banner for open pages" in browser.http.get("/").text
        database.execute("UPDATE notifications_banner SET withdrawn_at = now()")
        browser.submit("/account/", "/account/log-out")
        took_s = _seconds_until(lambda: _is_closed(socket), SOCKET_CLOSED_WITHIN_S)
    print(f"closed after {took_s * 1000:.0f} ms")


def test_second_demo_account_of_a_name_replaces_the_key_everywhere(stack: Stack) -> None:
    first = demo_account(stack, "again", USDT="5")
    with Dialect(stack.base_url, first) as client:
        assert client.balances()["USDT"][0] == "5.00000000"
        second = demo_account(stack, "again", USDT="2.5")
        _seconds_until(lambda: _answer(client) == REFUSED, REVOKED_WITHIN_S)
    with Dialect(stack.base_url, second) as client:
        assert client.balances()["USDT"][0] == "7.50000000"


def test_what_was_done_is_in_the_audit_log_and_proven(stack: Stack) -> None:
    """Through the gateway: the checkpoint grows with a log-in, its key opens it, and the log verifies."""
    browser = Browser(stack)
    key = read_verifier_key(browser.http.get("/audit/key").text)

    def checkpoint() -> Checkpoint:
        return verify(browser.http.get("/audit/checkpoint").text, key)

    before = checkpoint()
    made = demo_account(stack, "audited")
    browser.log_in(made)
    took_s = _seconds_until(lambda: checkpoint().size > before.size, RECORDED_WITHIN_S)
    print(f"recorded and signed after {took_s:.2f} s")
    after = checkpoint()
    proof = browser.http.get("/audit/proof/consistency", params={"from": before.size, "to": after.size}).json()
    hashes = [bytes.fromhex(each) for each in proof["hashes"]]
    assert is_consistent(before.size, after.size, before.root, after.root, hashes)
    assert stack.manage("verify_audit").startswith("whole: ")
    with psycopg.connect(stack.dsn) as connection:
        roles = connection.execute("SELECT DISTINCT role FROM audit_record WHERE action = 'user.log-in'").fetchall()
        assert roles == [("nebannpet_site",)]
