"""Sessions and browsers of a user: listed, ended, forgotten, told of by e-mail (requirement A7, threat-T5)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.browsers import browser_name
from apps.accounts.models import Device, OpenSession, TotpFactor, TradingTicket, User
from apps.accounts.policy import DEVICE_KEPT_S, SESSION_IDLE_S
from apps.accounts.services import devices, sessions
from apps.accounts.services.codes import use_code
from apps.accounts.services.sessions import BY_PASSWORD, open_session
from apps.audit.models import Record
from apps.notifications.models import OutgoingEmail
from apps.web.errors import SessionEnded
from tests.accounts.factors import with_app
from tests.accounts.mailbox import newest, submit
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"


@pytest.fixture
def browser(alice: User) -> Callable[..., Client]:
    """browser(user agent, email) -> one in which this user logged in; it checks CSRF like a real one."""

    def opened(agent: str = FIREFOX, email: str = "alice@example.org", client: Client | None = None) -> Client:
        client = client or Client(enforce_csrf_checks=True, headers={"user-agent": agent})
        assert submit(client, "/account/log-in", username=email, password=PASSWORD).status_code == 302
        return client

    return opened


def sessions_on(client: Client) -> list[Any]:
    return list(client.get("/account/devices").context["sessions"])


def mails(template: str = "new_device") -> int:
    return OutgoingEmail.objects.filter(template=template).count()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        (CHROME, "Chrome on Android"),
        (f"{CHROME} Edg/140.0", "Edge on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) Chrome/1 Safari/1 OPR/1", "Opera on Mac"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>" * 500, "Unknown browser"),
    ],
)
def test_browser_name(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_sessions_are_listed_with_this_one_first_and_when_they_end(browser: Callable[..., Client]) -> None:
    here = browser()
    there = browser(CHROME)
    first, second = sessions_on(here)
    assert (first.browser, first.is_this, first.address) == ("Firefox on Windows", True, "127.0.0.1")
    assert (second.browser, second.is_this) == ("Chrome on Android", False)
    assert (first.ends_at - first.seen_at, first.ends_in_any_case_at - first.opened_at) == (
        timedelta(hours=1),
        timedelta(hours=12),
    )
    assert [each.is_this for each in sessions_on(there)] == [True, False]
    assert b"this one" in here.get("/account/devices").content


def test_ending_one_lets_its_cookie_in_no_more_and_closes_its_sockets(browser: Callable[..., Client]) -> None:
    here, there = browser(), browser(CHROME)
    assert submit(there, "/trade/ticket", page="/account/").status_code == 200
    other = sessions_on(here)[1]
    assert submit(here, f"/account/sessions/{other.id}/end", page="/account/").status_code == 302
    assert (here.get("/account/").status_code, there.get("/account/").status_code) == (200, 302)
    assert TradingTicket.objects.get().revoked_at is not None, "the gateway hears of it within a second"
    assert len(sessions_on(here)) == 1
    again = submit(here, f"/account/sessions/{other.id}/end", page="/account/")
    assert (again.status_code, "over already" in again.content.decode()) == (404, True)


def test_all_others_end_at_once(browser: Callable[..., Client]) -> None:
    here, *others = (browser() for _ in range(3))
    assert submit(here, "/account/sessions/end-others", page="/account/").status_code == 302
    assert [each.get("/account/").status_code for each in (here, *others)] == [200, 302, 302]
    assert OpenSession.objects.count() == Session.objects.count() == 1
    ended = Record.objects.get(action="user.session-ended")
    assert ended.after == '{"sessions":2}'
    assert submit(here, "/account/sessions/end-others", page="/account/").status_code == 302
    assert Record.objects.filter(action="user.session-ended").count() == 1, "nothing was there to end"


def test_nobody_ends_or_forgets_what_is_not_theirs(
    browser: Callable[..., Client], make_user: Callable[..., User]
) -> None:
    mine = browser()
    make_user("mallory@example.org")
    mallory = browser(CHROME, "mallory@example.org")
    session, device = OpenSession.objects.earliest("pk"), Device.objects.earliest("pk")
    for path in (f"/account/sessions/{session.pk}/end", f"/account/devices/{device.pk}/forget"):
        assert submit(mallory, path, page="/account/").status_code == 404
        assert submit(mallory, path.replace(str(session.pk), "99999"), page="/account/").status_code == 404
        assert mallory.get(path).status_code == 405
        assert Client(enforce_csrf_checks=True).post(path).status_code == 403
        assert Client().post(path)["location"].startswith("/account/log-in")
        assert mine.post(path).status_code == 403, "no CSRF token"
    assert mine.get("/account/").status_code == 200
    assert (OpenSession.objects.count(), Device.objects.count()) == (2, 2)
    assert b"Firefox on Windows" not in mallory.get("/account/devices").content


def test_a_new_browser_is_told_of_once(alice: User, browser: Callable[..., Client]) -> None:
    here = browser()
    assert mails() == 0, "the first log-in of all"
    there = browser(CHROME)
    text = newest(alice.email, "new_device").text
    assert "Chrome on Android, address 127.0.0.1" in text
    for known in (here, there):
        submit(known, "/account/log-out", page="/account/")
        browser(client=known)
    assert (mails(), Device.objects.count()) == (1, 2)


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_only_its_hash_is_stored(
    browser: Callable[..., Client], settings: Any
) -> None:
    cookie = browser().cookies["device"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"], cookie["path"]) == (
        True, "Strict", DEVICE_KEPT_S, "/",
    )  # fmt: skip
    assert not cookie["secure"]
    settings.SESSION_COOKIE_SECURE = True
    client = Client(headers={"user-agent": CHROME})
    client.post("/account/log-in", {"username": "alice@example.org", "password": PASSWORD})
    assert client.cookies["device"]["secure"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT d::text FROM accounts_device d")
        dump = str(cursor.fetchall())
    assert cookie.value not in dump
    assert cookie.value.encode().hex() not in dump


@pytest.mark.parametrize("planted", ["x" * 43, "", "." * 500, "\u00e9" * 43, "a.b." + "y" * 43, "y" * 100_000])
def test_a_cookie_that_somebody_else_planted_is_not_adopted(browser: Callable[..., Client], planted: str) -> None:
    client = Client(enforce_csrf_checks=True, headers={"user-agent": FIREFOX})
    client.cookies["device"] = planted
    browser(client=client)
    first, *rest = client.cookies["device"].value.split(".")
    assert first not in planted.split(".")
    assert len(rest) <= 3
    assert Device.objects.count() == 1


def test_two_users_of_one_browser_are_both_known_there(
    browser: Callable[..., Client], make_user: Callable[..., User]
) -> None:
    make_user("bob@example.org")
    client = browser()
    for email in ("bob@example.org", "alice@example.org", "bob@example.org"):
        submit(client, "/account/log-out", page="/account/")
        browser(client=client, email=email)
    assert (Device.objects.count(), mails()) == (2, 0)
    assert len({bytes(device.token_hash) for device in Device.objects.all()}) == 2


def test_a_forgotten_browser_is_logged_out_and_new_again(browser: Callable[..., Client]) -> None:
    here, there = browser(), browser(CHROME)
    device = Device.objects.latest("pk")
    assert submit(here, f"/account/devices/{device.pk}/forget", page="/account/").status_code == 302
    assert (here.get("/account/").status_code, there.get("/account/").status_code) == (200, 302)
    assert Record.objects.filter(action="user.device-forgotten").count() == 1
    browser(client=there)
    assert mails() == 2
    own = Device.objects.earliest("pk")
    assert submit(here, f"/account/devices/{own.pk}/forget", page="/account/").status_code == 302
    assert here.get("/account/").status_code == 302


def test_a_year_makes_a_browser_unknown(browser: Callable[..., Client]) -> None:
    client = browser()
    Device.objects.update(seen_at=F("seen_at") - timedelta(seconds=DEVICE_KEPT_S + 1))
    submit(client, "/account/log-out", page="/account/")
    browser(client=client)
    assert (Device.objects.count(), mails()) == (2, 1)


def test_both_lists_are_bounded_and_the_page_costs_the_same(
    browser: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 4
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER_MAX", most)
    monkeypatch.setattr(devices, "DEVICES_PER_USER_MAX", most)
    here = browser()
    with CaptureQueriesContext(connection) as few:
        here.get("/account/devices")
    for _ in range(most - 1):
        browser(CHROME)
    with CaptureQueriesContext(connection) as many:
        assert len(sessions_on(here)) == most
    assert len(few) == len(many)
    assert Device.objects.count() == most
    browser(CHROME)
    assert here.get("/account/").status_code == 302, "the oldest gave way"
    assert OpenSession.objects.count() == Session.objects.count() == most
    assert Device.objects.count() == most


def test_what_lets_nobody_in_any_more_is_not_listed(alice: User, browser: Callable[..., Client]) -> None:
    here, idle = browser(), browser(CHROME)
    session = idle.session
    session["seen_at_s"] -= SESSION_IDLE_S + 1
    session.save()
    assert [each.is_this for each in sessions_on(here)] == [True]
    assert submit(idle, "/account/log-out").status_code in (302, 403)
    browser(CHROME)
    alice.set_password("set by staff, in the admin")
    alice.save()
    client = Client()
    client.force_login(alice)
    assert client.get("/account/devices").context["sessions"] == []


def test_a_new_password_ends_the_others_and_keeps_this_one_listed(browser: Callable[..., Client]) -> None:
    here, there = browser(), browser(CHROME)
    new = "a new good password"
    assert submit(here, "/account/password", current=PASSWORD, new=new).status_code == 302
    assert [each.is_this for each in sessions_on(here)] == [True]
    assert there.get("/account/").status_code == 302
    assert OpenSession.objects.count() == Session.objects.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "argon2$other"}])
def test_no_session_opens_for_an_account_that_changed_meanwhile(alice: User, rf: Any, change: dict[str, Any]) -> None:
    read_before = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(**change)
    with pytest.raises(SessionEnded):
        open_session(request=rf.get("/"), user=read_before, proofs=BY_PASSWORD)
    assert not OpenSession.objects.exists()
    assert not Device.objects.exists()


def test_a_log_in_that_the_account_ran_away_from_is_told_so(
    alice: User, monkeypatch: pytest.MonkeyPatch, browser: Callable[..., Client]
) -> None:
    def changed_first(user_id: int) -> None:
        User.objects.filter(pk=user_id).update(is_active=False)

    monkeypatch.setattr(sessions, "lock_sessions", changed_first)
    client = Client()
    response = submit(client, "/account/log-in", username=alice.email, password=PASSWORD)
    assert (response.status_code, "Log in again." in response.content.decode()) == (422, True)
    assert client.get("/account/").status_code == 302


def test_no_session_opens_by_an_app_that_was_replaced_meanwhile(alice: User, rf: Any) -> None:
    secret, _ = with_app(alice)
    shown = use_code(user_id=alice.pk, code=fresh_code(secret))
    TotpFactor.objects.all().delete()
    with_app(alice)
    with pytest.raises(SessionEnded):
        open_session(request=rf.get("/"), user=alice, proofs=BY_PASSWORD, shown=shown)
    assert not OpenSession.objects.exists()


def test_no_session_opens_by_the_password_alone_where_there_is_a_factor(alice: User, rf: Any) -> None:
    with_app(alice)
    with pytest.raises(SessionEnded):
        open_session(request=rf.get("/"), user=alice, proofs=BY_PASSWORD)
    assert not OpenSession.objects.exists()
