"""Trading tickets: one use, 30 seconds, bound to the session (threat-T16)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts.credentials import CREDENTIAL_CHANGES_SQL
from apps.accounts.errors import TooManyTickets
from apps.accounts.models import TradingTicket, User
from apps.accounts.policy import TICKETS_PER_SESSION_MAX
from apps.accounts.selectors import main_account_id
from apps.accounts.services.tickets import issue_ticket
from apps.accounts.tickets import CONSUME_TICKET_SQL
from apps.accounts.tokens import hash_token
from apps.web.errors import SessionEnded
from tests.accounts.people import PASSWORD


def _consume(ticket: str) -> tuple[int, int, int, str, bool] | None:
    with connection.cursor() as cursor:
        cursor.execute(CONSUME_TICKET_SQL, [hash_token(ticket)])
        return cursor.fetchone()


def _session_key(client: Client) -> str:
    return client.cookies["sessionid"].value


@pytest.fixture
def ticket(alice: User, alice_client: Client) -> str:
    return issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client))


def test_page_gets_a_ticket_that_opens_its_own_account(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any]
) -> None:
    response = csrf_post(alice_client, "/account/", "/trade/ticket")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    consumed = _consume(response.json()["ticket"])
    assert consumed is not None
    assert consumed[1:] == (main_account_id(user_id=alice.pk), alice.pk, "standard", False)


def test_csrf_header_as_the_page_sends_it(alice_client: Client) -> None:
    alice_client.get("/account/")
    token = alice_client.cookies["csrftoken"].value
    assert alice_client.post("/trade/ticket", headers={"X-CSRFToken": token}).status_code == 200


def test_lives_for_thirty_seconds(ticket: str) -> None:
    life = TradingTicket.objects.get()
    assert life.expires_at - life.created_at == timedelta(seconds=30)


def test_works_once(ticket: str) -> None:
    assert _consume(ticket) is not None
    assert _consume(ticket) is None


@pytest.mark.parametrize("text", ["", "x", "0" * 43, "\ud800", "é" * 50, "a" * 100_000])
def test_unknown_ticket_opens_nothing(db: None, text: str) -> None:
    assert _consume(text) is None


def test_expired_ticket_opens_nothing(ticket: str) -> None:
    # A minute, because now() inside a test's transaction is the time at which that began.
    TradingTicket.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert _consume(ticket) is None
    life = TradingTicket.objects.get()
    assert life.used_at is None


def test_only_a_hash_is_stored(ticket: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM accounts_tradingticket t")
        assert ticket.encode().hex() not in cursor.fetchone()[0]
        cursor.execute("SELECT ticket_hash, session_key_hash FROM accounts_tradingticket")
        row = cursor.fetchone()
    assert bytes(row[0]) == hash_token(ticket)
    assert len(row[1]) == 32


def test_refusals_of_the_page(alice_client: Client) -> None:
    assert alice_client.get("/trade/ticket").status_code == 405
    assert alice_client.post("/trade/ticket").status_code == 403
    response = Client().post("/trade/ticket")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "SESSION_ENDED")
    assert not TradingTicket.objects.exists()


def test_too_many_tickets(alice: User, alice_client: Client, csrf_post: Callable[..., Any]) -> None:
    for _ in range(TICKETS_PER_SESSION_MAX):
        issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client))
    with pytest.raises(TooManyTickets):
        issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client))
    response = csrf_post(alice_client, "/account/", "/trade/ticket")
    assert (response.status_code, response["Retry-After"]) == (429, "60")
    TradingTicket.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client))
    assert TradingTicket.objects.count() == 1  # the old unused ones are gone


def test_log_out_revokes_unused_and_used_tickets(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any]
) -> None:
    used, unused = (issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client)) for _ in range(2))
    opened = _consume(used)
    assert opened is not None
    with connection.cursor() as cursor:
        cursor.execute(CREDENTIAL_CHANGES_SQL, (0, 0))
        assert cursor.fetchall() == []
        csrf_post(alice_client, "/account/", "/account/log-out")
        assert _consume(unused) is None
        cursor.execute(CREDENTIAL_CHANGES_SQL, (0, 0))
        changes = {(row[0], row[1], row[3], row[7]) for row in cursor.fetchall()}
    assert ("ticket", opened[0], opened[1], True) in changes
    assert len(changes) == 2


def test_log_out_leaves_other_sessions_of_the_user_alone(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any]
) -> None:
    other = Client()
    other.force_login(alice)
    ticket = issue_ticket(user_id=alice.pk, session_key=_session_key(other))
    csrf_post(alice_client, "/account/", "/account/log-out")
    assert _consume(ticket) is not None


def test_password_and_switching_off_revoke_everywhere(alice: User, ticket: str) -> None:
    """Also when the change comes from the admin or a command: a trigger does it, not the page."""
    alice.set_password(PASSWORD + "!")
    alice.save(update_fields=["password"])
    first = TradingTicket.objects.get()
    assert first.revoked_at is not None
    assert first.version > 0
    assert _consume(ticket) is None


def test_switched_off_user_gets_no_socket(alice: User, ticket: str, alice_client: Client) -> None:
    User.objects.update(is_active=False)
    assert _consume(ticket) is None
    alice_client.get("/")
    token = alice_client.cookies["csrftoken"].value if "csrftoken" in alice_client.cookies else "x"
    assert alice_client.post("/trade/ticket", headers={"X-CSRFToken": token}).status_code in (401, 403)
    assert TradingTicket.objects.count() == 1


def test_ended_session_gets_no_ticket(alice: User, alice_client: Client) -> None:
    key = _session_key(alice_client)
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    with pytest.raises(SessionEnded):
        issue_ticket(user_id=alice.pk, session_key=key)
    Session.objects.all().delete()
    with pytest.raises(SessionEnded):
        issue_ticket(user_id=alice.pk, session_key=key)
    assert not TradingTicket.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_of_twenty_attempts_at_once_succeeds(alice: User, alice_client: Client) -> None:
    barrier = threading.Barrier(20)
    ticket = issue_ticket(user_id=alice.pk, session_key=_session_key(alice_client))

    def attempt(_: int) -> bool:
        with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as own:
            barrier.wait(timeout=60)
            return own.execute(CONSUME_TICKET_SQL, [hash_token(ticket)]).fetchone() is not None

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(attempt, range(20))).count(True) == 1


@pytest.mark.django_db(transaction=True)
def test_no_ticket_slips_past_a_log_out(alice: User, alice_client: Client) -> None:
    """A log-out that has locked the session makes the ticket wait, and then refuses it."""
    key = _session_key(alice_client)
    started = threading.Event()
    outcome: list[str] = []

    def ask() -> None:
        started.set()
        try:
            issue_ticket(user_id=alice.pk, session_key=key)
            outcome.append("ticket")
        except SessionEnded:
            outcome.append("refused")
        finally:
            connection.close()

    thread = threading.Thread(target=ask)
    with transaction.atomic():
        list(Session.objects.select_for_update().filter(session_key=key))
        thread.start()
        started.wait(timeout=60)
        thread.join(timeout=0.5)
        assert thread.is_alive()
        Session.objects.filter(session_key=key).delete()
    thread.join(timeout=60)
    assert outcome == ["refused"]
    assert not TradingTicket.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_log_out_waits_for_a_ticket_in_the_making_and_revokes_it(alice: User, alice_client: Client) -> None:
    key = _session_key(alice_client)

    def end() -> None:
        Session.objects.filter(session_key=key).delete()
        connection.close()

    thread = threading.Thread(target=end)
    with transaction.atomic():
        ticket = issue_ticket(user_id=alice.pk, session_key=key)
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive()
    thread.join(timeout=60)
    assert not Session.objects.exists()
    assert TradingTicket.objects.get().revoked_at is not None
    assert _consume(ticket) is None


def test_every_way_to_end_a_session_ends_its_tickets(alice: User, make_user: Callable[..., User]) -> None:
    """The site's own log-out has its test above; these are the ways around it."""
    boss = make_user("boss@example.org", is_staff=True)

    def ticket_of(client: Client, user: User) -> str:
        client.force_login(user)
        return issue_ticket(user_id=user.pk, session_key=_session_key(client))

    admin, forgotten = Client(), Client()
    tickets = [ticket_of(admin, boss), ticket_of(forgotten, alice)]
    admin.post("/admin/logout/")
    Session.objects.filter(session_key=_session_key(forgotten)).update(expire_date=timezone.now())
    call_command("clearsessions")
    assert [_consume(ticket) for ticket in tickets] == [None] * 2
    assert not TradingTicket.objects.filter(revoked_at=None).exists()
