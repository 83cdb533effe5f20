"""Banners: who sees which when, what is refused, and pages that ask PostgreSQL nothing for them."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.notifications import shownbanners
from apps.notifications.errors import BannerOver, InvalidBanner
from apps.notifications.following import Follower, following
from apps.notifications.models import Audience, Banner, Severity
from apps.notifications.policy import BANNERS_MAX, DISMISSED_MAX
from apps.notifications.services import show_banner, withdraw_banner
from apps.notifications.shownbanners import banners_for, dismissed
from tests.accounts.factors import enter_admin
from tests.accounts.mailbox import submit
from tests.accounts.people import PASSWORD

HOUR = timedelta(hours=1)
SOON_S = 60
ADD = "/admin/notifications/banner/add/"
LIST = "/admin/notifications/banner/"


def shown(**changes: Any) -> Banner:
    now = timezone.now()
    said: dict[str, Any] = {
        "text": "Maintenance on Sunday", "severity": Severity.INFO, "audience": Audience.EVERYONE,
        "starts_at": now - HOUR, "ends_at": now + HOUR, "made_by": "incidents", "reason": "a test",
    }  # fmt: skip
    return show_banner(**said | changes)


def _texts(user_id: int | None = None) -> list[str]:
    return [each.text for each in banners_for(user_id=user_id, now=timezone.now())]


@pytest.mark.django_db
def test_who_sees_which_and_when() -> None:
    alice, bob = (User.objects.create_user(f"{name}@example.org") for name in ("alice", "bob"))
    now = timezone.now()
    shown(text="for all")
    shown(text="for those logged in", audience=Audience.LOGGED_IN, severity=Severity.WARNING)
    shown(text="for alice", audience=Audience.CHOSEN, user_ids=[alice.pk, alice.pk], severity=Severity.CRITICAL)
    shown(text="later", starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    withdraw_banner(banner_id=shown(text="withdrawn").pk, asked_by="incidents", reason="over")
    assert _texts() == ["for all"]
    assert _texts(bob.pk) == ["for those logged in", "for all"]
    assert _texts(alice.pk) == ["for alice", "for those logged in", "for all"], "the most severe first"
    assert [each.text for each in banners_for(user_id=None, now=now + 1.5 * HOUR)] == ["later"]
    assert banners_for(user_id=alice.pk, now=now + 2 * HOUR) == (), "it ends at its end"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": " "}, "text has 1 to"),
        ({"text": "x" * 241}, "text has 1 to"),
        ({"text": "two\nlines"}, "one line each"),
        ({"link": "/markets"}, "A link needs a text"),
        ({"link_text": "Read"}, "needs the link"),
        ({"link": "https://elsewhere.example", "link_text": "Read"}, "path of this site"),
        ({"link": "//elsewhere.example", "link_text": "Read"}, "path of this site"),
        ({"link": "/markets", "link_text": "x" * 41}, "at most 40"),
        ({"reason": " "}, "Give a reason"),
        ({"ends_at": -2 * HOUR}, "end after it begins"),
        ({"ends_at": -HOUR / 2}, "ended already"),
        ({"ends_at": timedelta(days=91)}, "for 90 days at most"),
        ({"audience": Audience.CHOSEN}, "exactly if"),
        ({"user_ids": [1]}, "exactly if"),
        ({"audience": Audience.CHOSEN, "user_ids": range(1, 10_002)}, "At most 10000"),
        ({"audience": Audience.CHOSEN, "user_ids": [2**40]}, f"no user {2**40}"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes: dict[str, Any], words: str) -> None:
    # From now on, not from when this file was read: a run may take longer than half an hour.
    now = timezone.now()
    with pytest.raises(InvalidBanner, match=words):
        shown(**{name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()})
    assert not Banner.objects.exists()


@pytest.mark.django_db
def test_there_are_only_so_many_and_a_withdrawn_one_makes_room() -> None:
    banners = [shown() for _ in range(BANNERS_MAX)]
    with pytest.raises(InvalidBanner, match="withdraw one"):
        shown()
    withdraw_banner(banner_id=banners[0].pk, asked_by="incidents", reason="over")
    shown()


@pytest.mark.django_db
def test_what_has_ended_is_not_withdrawn() -> None:
    banner = shown()
    with pytest.raises(InvalidBanner, match="reason"):
        withdraw_banner(banner_id=banner.pk, asked_by="incidents", reason=" ")
    withdraw_banner(banner_id=banner.pk, asked_by="incidents", reason="over")
    with pytest.raises(BannerOver):
        withdraw_banner(banner_id=banner.pk, asked_by="incidents", reason="over")


def _page(client: Client, path: str = "/") -> str:
    return str(client.get(path).content.decode())


@pytest.mark.django_db
def test_pages_show_it_until_it_is_closed_in_that_browser() -> None:
    stays = shown(text="<b>stays</b>", is_dismissible=False, severity=Severity.CRITICAL)
    goes = shown(text="may be closed", link="/markets", link_text="See the markets")
    client = Client(enforce_csrf_checks=True)
    page = _page(client)
    assert "&lt;b&gt;stays&lt;/b&gt;" in page
    assert 'banner-critical" data-banner' in page
    assert '<a href="/markets">See the markets</a>' in page
    assert page.count("/dismiss") == 1, "the other one cannot be closed"
    assert "may be closed" in _page(client, "/no/such/page"), "error pages have it, too"

    path = f"/banners/{goes.pk}/dismiss"
    assert client.post(path).status_code == 403, "CSRF"
    assert client.get(path).status_code == 405
    answer = submit(client, path, "/", next="/markets?x=1")
    assert (answer.status_code, answer["Location"]) == (302, "/markets?x=1")
    assert "may be closed" not in _page(client)
    assert "stays" in _page(client)
    assert "may be closed" in _page(Client()), "in that browser only"
    assert submit(client, f"/banners/{stays.pk}/dismiss", "/").status_code == 400
    cookie = client.cookies[shownbanners.COOKIE]
    assert (cookie.value, cookie["samesite"], cookie["httponly"]) == (str(goes.pk), "Lax", "")
    for elsewhere in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", ""):
        assert submit(client, path, "/", next=elsewhere)["Location"] == "/"


@pytest.mark.django_db
def test_only_what_is_shown_to_somebody_can_be_closed_by_them() -> None:
    alice = User.objects.create_user("alice@example.org")
    banner = shown(audience=Audience.CHOSEN, user_ids=[alice.pk])
    client = Client()
    assert "Set-Cookie" not in client.post(f"/banners/{banner.pk}/dismiss")
    assert not client.cookies
    assert client.post(f"/banners/{2**70}/dismiss").status_code == 302


@pytest.mark.parametrize("text", ["x", "1.x.3", "", "\u0661", "-1", "9" * 30, "." * 5_000])
def test_a_cookie_that_cannot_be_read_is_no_fault(text: str) -> None:
    assert all(0 <= each < 10**19 for each in dismissed({shownbanners.COOKIE: text}))


def test_the_cookie_has_an_end() -> None:
    assert len(dismissed({shownbanners.COOKIE: ".".join(map(str, range(1_000)))})) == DISMISSED_MAX


def _soon(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


@pytest.mark.django_db(transaction=True)
def test_a_process_that_follows_asks_nothing_and_hears_of_every_change(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    shown(text="first")
    with following():
        assert _soon(lambda: _texts() == ["first"])
        alice = User.objects.create_user("alice@example.org")
        with transaction.atomic():
            banner = shown(text="second", audience=Audience.CHOSEN, user_ids=[alice.pk])
            assert "second" not in _texts(alice.pk)
        assert _soon(lambda: _texts(alice.pk) == ["second", "first"])
        with django_assert_num_queries(0):
            assert "first" in _page(Client())
            assert _texts(alice.pk) == ["second", "first"]
        withdraw_banner(banner_id=banner.pk, asked_by="incidents", reason="over")
        assert _soon(lambda: _texts(alice.pk) == ["first"])
    Banner.objects.update(text="changed")
    assert _texts() == ["changed"], "nobody follows any more: PostgreSQL is asked"


def cut_off_followers() -> None:
    """Their connections end, as with a restart of PostgreSQL."""
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as other:
        ended = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND position(%s in query) > 0 AND pid <> ALL(%s)",
            ("notifications_banner b", [other.info.backend_pid, connection.connection.info.backend_pid]),
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known holds meanwhile, and what came meanwhile is there after it."""
    monkeypatch.setattr("apps.notifications.following.RECONNECT_S", 0.05)
    shown(text="first")
    follower = Follower()
    follower.start()
    try:
        assert _soon(lambda: _texts() == ["first"])
        cut_off_followers()
        assert _texts() == ["first"]
        shown(text="second")
        assert _soon(lambda: _texts() == ["second", "first"])
    finally:
        follower.stop()


@pytest.mark.django_db(transaction=True)
def test_recipients_are_read_again_only_when_banners_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often is looked, and however many sessions end meanwhile."""
    monkeypatch.setattr("apps.notifications.following.BANNERS_POLL_S", 0.0)
    monkeypatch.setattr("apps.notifications.following.WAIT_S", 0.01)
    calls: Counter[str] = Counter()
    for name in ("read", "read_ids"):
        plain = getattr(shownbanners, name)

        def counted(cursor: Any, name: str = name, plain: Any = plain) -> Any:
            calls[name] += 1
            return plain(cursor)

        monkeypatch.setattr(shownbanners, name, counted)
    shown(text="first")
    with following():
        assert _soon(lambda: calls["read_ids"] > 5)
        assert calls["read"] == 1
        shown(text="second")
        assert _soon(lambda: _texts() == ["second", "first"])
        looks = calls["read_ids"]
        assert _soon(lambda: calls["read_ids"] > looks + 2)
        assert calls["read"] == 2


@pytest.mark.django_db
def test_pages_without_postgresql_at_the_start_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> None:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr("apps.outbox.session.connect", away)
    shown()
    with following():
        assert _texts() == []


def _staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff@example.org", PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    enter_admin(client, user)
    return client


FIELDS = {
    "severity": "warning", "text": "Deposits of XYZ wait", "audience": "chosen", "is_dismissible": "on",
    "starts_at_0": "2026-11-22", "starts_at_1": "02:00", "ends_at_0": "2026-12-22", "ends_at_1": "04:00",
    "reason": "node upgrade",
}  # fmt: skip


@pytest.fixture
def times() -> dict[str, str]:
    now = timezone.now()
    return FIELDS | {"starts_at_0": f"{now:%Y-%m-%d}", "ends_at_0": f"{now + timedelta(days=30):%Y-%m-%d}"}


@pytest.mark.django_db
def test_staff_make_one_and_take_it_off(times: dict[str, str]) -> None:
    alice = User.objects.create_user("alice@example.org")
    client = _staff("view_banner", "add_banner", "withdraw_banner")
    bob = User.objects.create_user("bob@example.org")
    answer = client.post(ADD, times | {"users": f"Alice@example.org\n\n {bob.pk} \n"}, follow=True)
    assert "is made" in answer.content.decode()
    banner = Banner.objects.get()
    assert {row.user_id for row in banner.recipients.all()} == {alice.pk, bob.pk}
    assert (banner.made_by, banner.reason, banner.is_dismissible) == ("staff: staff@example.org", "node upgrade", True)
    act = {"action": "withdraw", "_selected_action": str(banner.pk)}
    assert "Give a reason" in client.post(LIST, act | {"reason": ""}, follow=True).content.decode()
    assert "is withdrawn" in client.post(LIST, act | {"reason": "done"}, follow=True).content.decode()
    assert "has ended already" in client.post(LIST, act | {"reason": "done"}, follow=True).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"users": "nobody@example.org"}, "Nobody has the address nobody@example.org"),
        ({"users": "12a"}, "Neither a user&#x27;s number nor an e-mail address: 12a"),
        ({"users": "999999999"}, "There is no user 999999999"),
        ({"users": ""}, "Users are named exactly if"),
        ({"reason": ""}, "This field is required"),
        ({"ends_at_0": "x"}, "Enter a valid date"),
        ({"link": "javascript:alert(1)", "link_text": "x", "audience": "everyone"}, "path of this site"),
    ],
)
def test_the_form_says_what_is_wrong(times: dict[str, str], changes: dict[str, str], words: str) -> None:
    answer = _staff("view_banner", "add_banner").post(ADD, times | changes)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Banner.objects.exists()


@pytest.mark.django_db
def test_staff_without_the_right_do_neither(times: dict[str, str]) -> None:
    banner = shown()
    client = _staff("view_banner")
    assert client.post(ADD, times | {"audience": "everyone"}).status_code == 403
    client.post(LIST, {"action": "withdraw", "_selected_action": str(banner.pk), "reason": "x"})
    change = f"{LIST}{banner.pk}/change/"
    assert client.get(change).status_code == 200
    assert client.post(change, {"text": "other"}).status_code == 403
    assert client.post(f"{LIST}{banner.pk}/delete/", {"post": "yes"}).status_code == 403
    banner.refresh_from_db()
    assert (banner.text, banner.withdrawn_at) == ("Maintenance on Sunday", None)
