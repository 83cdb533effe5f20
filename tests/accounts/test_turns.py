"""At most two changes of one user at once in a process; the others wait without a connection (threat-T20)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import User
from apps.accounts.selectors import main_account
from apps.accounts.services.ending import lock_sessions
from apps.accounts.services.keyissue import issue_hmac_key
from apps.web import turns
from apps.web.errors import TooManyAtOnce
from tests.accounts.people import PASSWORD
from tests.matching.waiting import until
from tests.platformapi.conftest import Program

MANY: Final = 40
CHANGE: Final = "/account/sessions/end-others"


@pytest.fixture
def busy_alice(alice: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Her turns are taken, and nobody waits."""
    monkeypatch.setattr(turns, "WAIT_S", 0)
    request = HttpRequest()
    for _ in range(turns.AT_ONCE):
        turns.take_turn(request, alice.pk)
    yield alice
    turns.give_back(request)
    assert not turns._LINES


@pytest.mark.django_db(transaction=True)
def test_forty_changes_of_one_user_take_two_connections_and_others_are_answered(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 60)
    alice, bob = make_user(), make_user("bob@example.org")
    hers, his = _logged_in(alice), _logged_in(bob)

    def change() -> int:
        one = Client()
        one.cookies = hers.cookies
        try:
            return one.post(CHANGE).status_code
        finally:
            connection.close()

    before = _connections()
    with ThreadPoolExecutor(MANY) as pool:
        with transaction.atomic():
            lock_sessions(alice.pk)
            answers = [pool.submit(change) for _ in range(MANY)]
            until(lambda: _people(alice) == MANY and len(_connections() - before) == turns.AT_ONCE)
            assert his.get("/account/").status_code == 200
            assert his.post(CHANGE).status_code == 302
        assert {each.result() for each in answers} == {302}
    assert not turns._LINES


def test_who_waits_too_long_gets_a_page_that_says_so(busy_alice: User, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(raise_request_exception=False)
    client.post("/account/log-in", {"username": busy_alice.email, "password": PASSWORD})
    answer = client.post(CHANGE)
    assert (answer.status_code, answer["Retry-After"]) == (429, "5")
    assert "Your earlier requests are not done yet" in answer.content.decode()
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert client.get("/account/").status_code == 200


def test_more_than_so_many_do_not_even_wait(busy_alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 600)
    monkeypatch.setattr(turns, "WAITING_MAX", 0)
    with pytest.raises(TooManyAtOnce):
        turns.take_turn(HttpRequest(), busy_alice.pk)
    assert _people(busy_alice) == turns.AT_ONCE


def test_changes_by_key_wait_for_the_same_turns(busy_alice: User) -> None:
    account = main_account(user_id=busy_alice.pk)
    key = Program(issue_hmac_key(account_id=account.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=True)))
    answer = key.send("POST", "/transfers", {})
    assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (429, "5", "TOO_MANY_AT_ONCE")
    assert key.send("GET", "/accounts").status_code == 200


def _logged_in(user: User) -> Client:
    client = Client()
    assert client.post("/account/log-in", {"username": user.email, "password": PASSWORD}).status_code == 302
    return client


def _people(user: User) -> int:
    line = turns._LINES.get(user.pk)
    return 0 if line is None else line.people


def _connections() -> set[int]:
    """By their processes: one of an earlier test may still be about to end."""
    with connection.cursor() as cursor:
        # Within a transaction the view stays as it was first read.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}
