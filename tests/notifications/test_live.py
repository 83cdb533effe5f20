"""The socket of a page at /live/: who gets what, who gets none, and how it ends. A real server, a real redis-edge."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import structlog
import uvicorn
from channels.layers import channel_layers
from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from apps.accounts import sockets
from apps.accounts.models import User
from apps.accounts.policy import SESSION_IDLE_S
from apps.notifications import consumers
from apps.notifications.following import following
from apps.notifications.live import hub
from apps.notifications.models import Audience, Topic
from apps.notifications.services import mark_read, notify, withdraw_banner
from apps.notifications.shownbanners import banners_for
from nebannpet.routing import site_application
from tests.accounts.mailbox import submit
from tests.accounts.people import PASSWORD
from tests.notifications.test_banners import cut_off_followers, shown
from tests.ports import free_port

pytestmark = pytest.mark.django_db(transaction=True)
# Whatever the machine is doing.
SOON_S = 60


class Page:
    """An open socket; `said` waits for the next message that is no ping."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def said(self) -> dict[str, Any]:
        while (message := json.loads(self.socket.recv(timeout=SOON_S)))["type"] == "ping":
            pass
        found: dict[str, Any] = message
        return found

    def banners(self) -> list[str]:
        message = self.said()
        assert message["type"] == "banners"
        return [banner["text"] for banner in message["banners"]]

    def close_code(self) -> int:
        """Of a socket that the site closes by itself, whatever it says before."""
        with pytest.raises(ConnectionClosed) as closed:
            self._read_on()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code

    def _read_on(self) -> None:
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            self.socket.recv(timeout=SOON_S)


class Site:
    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://localhost:{port}"

    @contextmanager
    def page(self, client: Client | None = None, address: str = "203.0.113.7", **changes: Any) -> Iterator[Page]:
        cookie = "" if client is None else client.cookies[django_settings.SESSION_COOKIE_NAME].value
        headers = {"X-Forwarded-For": address} | ({"Cookie": f"sessionid={cookie}"} if cookie else {})
        given = {"path": "/live/", "origin": self.origin} | changes
        with connect(
            f"ws://127.0.0.1:{self.port}{given['path']}",
            origin=given["origin"] and Origin(given["origin"]), additional_headers=headers, open_timeout=SOON_S,
        ) as socket:  # fmt: skip
            yield Page(socket)

    def refuses(self, client: Client | None = None, **changes: Any) -> bool:
        with pytest.raises(InvalidStatus) as refused, self.page(client, **changes):
            pass
        return refused.value.response.status_code == 403


@pytest.fixture
def site(settings: Settings, nudges: list[int]) -> Iterator[Site]:
    port = free_port()
    found = Site(port)
    settings.PUBLIC_ORIGIN = found.origin
    config = uvicorn.Config(
        site_application(), host="127.0.0.1", port=port, ws="websockets-sansio", lifespan="off", log_config=None,
        proxy_headers=True, forwarded_allow_ips="*", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    with following():
        thread.start()
        _soon(lambda: server.started)
        yield found
        server.should_exit = True
        thread.join()


def _soon(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _user(name: str) -> User:
    return User.objects.create_user(f"{name}@example.org", PASSWORD)


def _browser(user: User) -> Client:
    """Logged in, and one page seen."""
    client = Client()
    client.force_login(user)
    client.get("/account/")
    return client


def test_each_visitor_has_the_banners_that_are_for_them_as_they_come_and_go(site: Site) -> None:
    alice = _user("alice")
    first = shown(text="<b>first</b>", link="/markets", link_text="See")
    _soon(lambda: [each.id for each in banners_for(user_id=None, now=timezone.now())] == [first.pk])
    with site.page() as visitor, site.page(_browser(alice)) as page:
        message = visitor.said()
        assert message == {
            "type": "banners", "signed_in": False,
            "banners": [
                {"id": first.pk, "severity": "info", "text": "<b>first</b>", "link": "/markets", "link_text": "See",
                 "dismissible": True},
            ],
        }  # fmt: skip
        assert page.said() == message | {"signed_in": True}
        for_alice = shown(text="for alice", audience=Audience.CHOSEN, user_ids=[alice.pk])
        assert page.banners() == ["for alice", "<b>first</b>"]
        shown(text="for those logged in", audience=Audience.LOGGED_IN)
        assert page.banners() == ["for those logged in", "for alice", "<b>first</b>"]
        withdraw_banner(banner_id=for_alice.pk, asked_by="incidents", reason="over")
        assert page.banners() == ["for those logged in", "<b>first</b>"]
        withdraw_banner(banner_id=first.pk, asked_by="incidents", reason="over")
        assert visitor.banners() == [], "and nothing of what is for others before it"


def test_a_user_s_pages_hear_that_notices_changed_by_their_number_alone(site: Site) -> None:
    alice, bob = _user("alice"), _user("bob")
    with site.page(_browser(alice)) as page, site.page(_browser(bob)) as other, site.page() as visitor:
        for each in (page, other, visitor):
            each.banners()
        _soon(_listens)
        notice = notify(user_id=alice.pk, topic=Topic.SERVICE, title="canary")
        assert notice is not None
        assert page.said() == {"type": "notices", "unread": 1}
        mark_read(user_id=alice.pk, notice_id=notice.pk)
        assert page.said() == {"type": "notices", "unread": 0}
        shown(text="last")
        assert other.banners() == visitor.banners() == ["last"], "nothing came before it"


def _listens() -> bool:
    """Whether the hub has its place in the group."""
    layers = list(channel_layers["default"]._layers.values())
    return any(layer.groups for layer in layers)


@pytest.mark.parametrize("how", ["log-out", "password", "switched off"])
def test_the_end_of_a_session_ends_its_sockets(site: Site, how: str) -> None:
    alice = _user("alice")
    client = _browser(alice)
    with site.page(client) as page, site.page() as visitor:
        assert page.said()["signed_in"]
        visitor.banners()
        if how == "log-out":
            submit(client, "/account/log-out", "/account/")
        elif how == "password":
            alice.set_password("another horse battery")
            alice.save(update_fields=("password",))
        else:
            User.objects.update(is_active=False)
        assert page.close_code() == consumers.AGAIN
        shown(text="others stay")
        assert visitor.banners() == ["others stay"]
    if how != "log-out":
        with site.page(client) as page:
            assert page.said()["signed_in"] is False, "whoever comes back is nobody"


def test_the_other_sessions_of_a_user_stay(site: Site) -> None:
    alice = _user("alice")
    one, other = _browser(alice), _browser(alice)
    with site.page(one) as ending, site.page(other) as staying:
        ending.banners(), staying.banners()
        Session.objects.get(pk=one.cookies["sessionid"].value).delete()
        assert ending.close_code() == consumers.AGAIN
        shown(text="still here")
        assert staying.banners() == ["still here"]


def test_a_session_that_is_over_by_its_limits_is_nobody_and_ends_a_socket(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _browser(_user("alice"))
    session = SessionStore(client.cookies["sessionid"].value)
    session["seen_at_s"] = int(time.time()) - SESSION_IDLE_S - 1
    session.save()
    with site.page(client) as page:
        assert page.said()["signed_in"] is False
    session["seen_at_s"] = int(time.time()) - 1
    session.save()
    with site.page(client) as page:
        page.banners()
        real_time = time.time
        almost = SimpleNamespace(time=lambda: real_time() + SESSION_IDLE_S - 2)
        monkeypatch.setattr(consumers, "time", almost)
        shown(text="wakes it, a second before its end")
        assert page.close_code() == consumers.AGAIN
    assert SessionStore(client.cookies["sessionid"].value)["seen_at_s"] == session["seen_at_s"], "a socket is no use"


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://localhost", "null", "http://localhost:0x"])
def test_only_pages_of_our_own_origin_open_one(site: Site, origin: str | None) -> None:
    assert site.refuses(_browser(_user("alice")), origin=origin)


@pytest.mark.parametrize("path", ["/", "/live", "/live/x", "/account/"])
def test_there_is_no_other_socket(site: Site, path: str) -> None:
    assert site.refuses(path=path)


def test_nobody_has_more_than_their_share(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVE_SOCKETS_PER_SESSION_MAX", "LIVE_SOCKETS_PER_NETWORK_MAX"):
        monkeypatch.setattr(hub, name, 1)
    alice = _user("alice")
    one, other = _browser(alice), _browser(alice)
    with site.page(one), site.page(other), site.page():
        assert site.refuses(one)
        assert site.refuses()
        with site.page(address="203.0.113.8") as page:
            page.banners()
        monkeypatch.setattr(hub, "LIVE_SOCKETS_MAX", 3)
        _soon(lambda: len(hub.HUB) == 3)
        assert site.refuses(address="203.0.113.9")
    _soon(lambda: len(hub.HUB) == 0)
    with site.page(one) as page:
        page.banners()


def test_one_customer_s_addresses_count_as_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LIVE_SOCKETS_PER_NETWORK_MAX", 1)
    with site.page(address="2001:db8::1"):
        assert site.refuses(address="2001:db8::ffff:2")
        with site.page(address="2001:db8:0:1::1") as page:
            page.banners()


def test_a_mistake_of_ours_ends_the_socket(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open one that says nothing more would be believed."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    with site.page() as page:
        page.banners()
        monkeypatch.setattr(consumers, "banners_for", broken)
        shown(text="never told")
        with structlog.testing.capture_logs() as said:
            assert page.close_code() == consumers.FAILED
    assert "a page's socket failed" in {line["event"] for line in said}


def test_whoever_sends_something_is_cut_off(site: Site) -> None:
    for message in ("{}", b"\x00"):
        with site.page() as page:
            page.socket.send(message)
            assert page.close_code() == consumers.UNEXPECTED


def test_a_silent_socket_has_pings(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "LIVE_PING_S", 0.05)
    with site.page() as page:
        messages = [json.loads(page.socket.recv(timeout=SOON_S))["type"] for _ in range(3)]
    assert messages == ["banners", "ping", "ping"]


def test_without_redis_edge_banners_come_all_the_same_and_notices_with_the_next_page(
    site: Site, settings: Settings
) -> None:
    alice = _user("alice")
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": "unix:///nowhere/redis.sock"}]},
        }
    }
    with structlog.testing.capture_logs() as said, site.page(_browser(alice)) as page:
        page.banners()
        assert notify(user_id=alice.pk, topic=Topic.SERVICE, title="a") is not None
        shown(text="all the same")
        assert page.banners() == ["all the same"]
    assert "open pages do not hear of a notice" in {line["event"] for line in said}


def test_without_postgresql_a_session_cannot_be_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _browser(_user("alice"))

    def away(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(sockets, "visitor_of", away)
    assert site.refuses(client)
    with site.page() as page:
        page.banners()


def test_nobody_waits_in_a_long_queue(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LIVE_HANDSHAKES_MAX", 0)
    assert site.refuses()
    monkeypatch.setattr(sockets, "LIVE_HANDSHAKES_MAX", 1)
    for _ in range(2):  # each gave its place back
        with site.page() as page:
            page.banners()


def test_after_a_lost_connection_every_session_is_looked_at_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end may have been told meanwhile."""
    monkeypatch.setattr("apps.notifications.following.RECONNECT_S", 0.05)
    with site.page(_browser(_user("alice"))) as page, site.page() as visitor:
        page.banners(), visitor.banners()
        cut_off_followers()
        assert page.close_code() == consumers.AGAIN
        shown(text="no session, no end")
        assert visitor.banners() == ["no session, no end"]


def test_hints_come_again_after_redis_edge_was_away(site: Site, edge: redis.Redis) -> None:
    alice = _user("alice")
    with site.page(_browser(alice)) as page:
        page.banners()
        _soon(_listens)
        edge.client_kill_filter(_type="pubsub")
        heard = threading.Event()
        threading.Thread(target=lambda: page.said()["type"] == "notices" and heard.set()).start()

        def told_and_heard() -> bool:
            # Those that nobody listens for are lost.
            notify(user_id=alice.pk, topic=Topic.SERVICE, title="a")
            return heard.wait(0.2)

        _soon(told_and_heard)
