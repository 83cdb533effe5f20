"""No answer and no cost tells whether an address has an account (threat-T4): 200 known and 200 unknown ones."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.hashers import PlatformArgon2PasswordHasher
from apps.accounts.models import LogIn, MailedLink, User
from apps.accounts.policy import FAILURES_PER_ACCOUNT_MAX, LINKS_PER_MAILBOX_MAX, LINKS_PER_NETWORK_MAX, RESET_LINK_S
from apps.notifications.models import OutgoingEmail
from tests.accounts.mailbox import link_to, submit
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
COUNT = 200
PAGES = {
    "/account/sign-up": {"password": "another good password"},
    "/account/forgot-password": {},
    "/account/let-me-in": {},
}


@dataclass(frozen=True)
class Seen:
    """All that somebody outside, or a stopwatch, could tell two answers apart by."""

    status: int
    location: str
    length: int
    headers: frozenset[str]
    queries: int
    hashes: int
    links: int
    emails: int


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each hash, which then costs nothing: the cost is tested elsewhere."""
    made: list[str] = []
    monkeypatch.setattr(PlatformArgon2PasswordHasher, "encode", lambda *_: made.append("encode") or "argon2$x")
    monkeypatch.setattr(PlatformArgon2PasswordHasher, "verify", lambda *_: made.append("verify") or False)
    return made


@pytest.mark.parametrize("path", PAGES)
def test_known_and_unknown_addresses(path: str, hashes: list[str]) -> None:
    seen: dict[bool, set[Seen]] = {True: set(), False: set()}
    for known in (True, False):
        for number in range(COUNT):
            email = f"person{number:03}@{'known' if known else 'fresh'}.example"
            if known:
                User.objects.create_user(email, PASSWORD)
            seen[known].add(_ask(path, email, hashes, network=number if known else COUNT + number))
    assert seen[True] == seen[False]
    (answer,) = seen[True]
    assert (answer.status, answer.location, answer.links, answer.emails) == (302, "/account/check-mail", 1, 1)
    assert answer.hashes == (1 if "password" in PAGES[path] else 0)


def _ask(path: str, email: str, hashes: list[str], *, network: int) -> Seen:
    client = Client(REMOTE_ADDR=f"203.0.{network // 200}.{network % 200}")
    before = MailedLink.objects.count(), OutgoingEmail.objects.count()
    client.get(path)
    hashes.clear()
    with CaptureQueriesContext(connection) as queries:
        fields = {**PAGES[path], "email": email, "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
        response: Any = client.post(path, fields)
    return Seen(
        status=response.status_code,
        location=response["location"],
        length=len(response.content),
        headers=frozenset(response.headers),
        queries=len(queries),
        hashes=len(hashes),
        links=MailedLink.objects.count() - before[0],
        emails=OutgoingEmail.objects.count() - before[1],
    )


def test_a_log_in_that_fails(alice: User, hashes: list[str]) -> None:
    """Up to the limit of all strangers together and beyond it; what the owner's history has is written all the same."""
    answers: dict[bool, list[tuple[int, int, int, int]]] = {}
    for known, email in ((True, alice.email), (False, "fresh@example.org")):
        answers[known] = []
        for number in range(FAILURES_PER_ACCOUNT_MAX + 2):
            client = Client(REMOTE_ADDR=f"203.0.113.{number // 4 + (0 if known else 100)}")
            client.get("/account/log-in")
            hashes.clear()
            with CaptureQueriesContext(connection) as queries:
                fields = {"username": email, "password": "x", "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
                response: Any = client.post("/account/log-in", fields)
            answers[known].append((response.status_code, len(response.content), len(queries), len(hashes)))
    assert answers[True] == answers[False]
    assert [answer[0] for answer in answers[True]] == [422] * FAILURES_PER_ACCOUNT_MAX + [429] * 2
    assert LogIn.objects.count() == FAILURES_PER_ACCOUNT_MAX


def test_the_new_address_of_an_account(alice_client: Client, make_user: Callable[..., User]) -> None:
    make_user("known@example.org")
    seen = set()
    for email in ("known@example.org", "fresh@example.org"):
        with CaptureQueriesContext(connection) as queries:
            response = submit(alice_client, "/account/email", email=email, password=PASSWORD)
        page = alice_client.get("/account/").content.decode()
        assert "Follow the link that we sent" in page
        seen.add((response.status_code, response["location"], len(response.content), len(queries)))
    assert len(seen) == 1
    assert OutgoingEmail.objects.count() == 2


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("networks", "sent"), [(1, 5), (7, LINKS_PER_MAILBOX_MAX)])
def test_one_mailbox_gets_so_many_an_hour_and_the_answer_stays_the_same(
    known: bool, networks: int, sent: int, make_user: Callable[..., User]
) -> None:
    email = "person@example.org"
    if known:
        make_user(email)
    answers = set()
    for number in range(LINKS_PER_MAILBOX_MAX + 3):
        client = Client(REMOTE_ADDR=f"203.0.113.{number % networks}")
        response = submit(client, "/account/forgot-password", email=email)
        answers.add((response.status_code, response["location"], len(response.content)))
    assert len(answers) == 1
    assert OutgoingEmail.objects.filter(to=email).count() == sent


def test_nobody_keeps_a_person_from_a_reset_by_asking_first(alice: User, hashes: list[str]) -> None:
    """Neither with sign-ups, nor with resets from elsewhere; and who sends very many leaves links that work."""
    stranger, owner = Client(REMOTE_ADDR="203.0.113.9"), Client(REMOTE_ADDR="198.51.100.1")
    for path, fields in PAGES.items():
        for _ in range(7):
            assert submit(stranger, path, email=alice.email, **fields).status_code == 302
    before = OutgoingEmail.objects.filter(template="reset").count()
    assert submit(owner, "/account/forgot-password", email=alice.email).status_code == 302
    assert OutgoingEmail.objects.filter(template="reset").count() == before + 1 == 6
    for number in range(4):
        client = Client(REMOTE_ADDR=f"203.0.113.{number}")
        for _ in range(5):
            submit(client, "/account/forgot-password", email=alice.email)
    assert OutgoingEmail.objects.filter(template="reset").count() == LINKS_PER_MAILBOX_MAX
    assert MailedLink.objects.filter(purpose="reset", used_at=None, expires_at__gt=Now()).count() == 15
    assert owner.get(link_to(alice.email)).status_code == 200
    reset_window_over = F("created_at") - timedelta(seconds=RESET_LINK_S)
    MailedLink.objects.filter(purpose="reset").update(created_at=reset_window_over)
    assert submit(owner, "/account/forgot-password", email=alice.email).status_code == 302
    assert OutgoingEmail.objects.filter(template="reset").count() == LINKS_PER_MAILBOX_MAX + 1


def test_requests_without_an_e_mail_count_for_their_network_and_hash_nothing_then(hashes: list[str]) -> None:
    client = Client(REMOTE_ADDR="203.0.113.1")
    answers = [
        submit(client, "/account/sign-up", email="a@example.org", password="another good password").status_code
        for _ in range(LINKS_PER_NETWORK_MAX + 5)
    ]
    assert answers == [302] * LINKS_PER_NETWORK_MAX + [429] * 5
    assert len(hashes) == LINKS_PER_NETWORK_MAX
    assert OutgoingEmail.objects.count() == 5
    assert MailedLink.objects.exclude(password="").count() == 5


def test_one_network_is_refused_after_fifty() -> None:
    client = Client(REMOTE_ADDR="203.0.113.1")
    for number in range(50):
        assert submit(client, "/account/forgot-password", email=f"a{number}@example.org").status_code == 302
    for path, fields in PAGES.items():
        response = submit(client, path, email="b@example.org", **fields)
        assert response.status_code == 429
        assert "Wait an hour" in response.content.decode()
    assert OutgoingEmail.objects.count() == 50
    other = Client(REMOTE_ADDR="203.0.113.2")
    assert submit(other, "/account/forgot-password", email="b@example.org").status_code == 302
