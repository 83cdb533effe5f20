"""What a passkey opens, and every way in which it does not (requirements A2, A3, threat-T3)."""

import json
import random
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from django_otp_webauthn.models import WebAuthnCredential

from apps.accounts.errors import PasskeyRefused
from apps.accounts.models import LogIn, PasskeyChallenge, User
from apps.accounts.policy import FAILURES_PER_SUBJECT_MAX
from apps.accounts.selectors import passkeys_of
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.services.passkeyproofs import ask_for_passkey, use_passkey
from apps.accounts.services.passkeys import remove_passkey
from apps.accounts.services.sessions import open_session
from apps.audit.models import Record
from apps.notifications.models import Notice, OutgoingEmail
from apps.web.errors import SessionEnded
from tests.accounts.authenticator import PRESENT, VERIFIED, Passkey, text_of
from tests.accounts.factors import password_step, with_app
from tests.accounts.mailbox import lock_link_to, newest
from tests.accounts.passkeys import asked, browser, log_in, send, with_passkey
from tests.matching.waiting import until

pytestmark = pytest.mark.django_db
SOMEBODY_WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LOG_IN, CODE_PAGE, CONFIRM = "/login/passkey", "/account/log-in/code", "/account/confirm-it-is-you"


def is_logged_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_a_passkey_alone_logs_in(alice: User) -> None:
    passkey = with_passkey(alice)
    client = browser()
    assert "Log in with a passkey" in client.get("/account/log-in").content.decode()
    assert log_in(client, passkey, next="/account/devices")["Location"] == "/account/devices"
    assert is_logged_in(client)
    assert client.session["factors"] == ["passkey"]
    assert [(row.succeeded, row.factors) for row in LogIn.objects.all()] == [(True, "passkey")]
    assert client.get("/account/two-factor").status_code == 200
    assert client.get("/account/passkeys/add").status_code == 200, "it confirms, too, that its owner is there"
    row = WebAuthnCredential.objects.get()
    assert (row.sign_count, row.last_used_at is None) == (1, False)
    assert not PasskeyChallenge.objects.exists()
    assert log_in(browser(), passkey, next="https://evil.example/")["Location"] == "/account/"


def test_what_is_asked_tells_nobody_and_asks_for_verification(alice: User) -> None:
    with_passkey(alice)
    client = browser()
    client.get(LOG_IN)
    options = asked(client, "log-in")
    assert (options["userVerification"], options["allowCredentials"], options["rpId"]) == ("required", [], "localhost")
    assert len(options["challenge"]) >= 43
    assert asked(client, "tea", status=400).startswith("Say what the passkey is for")
    assert asked(client, "second-step", status=409).startswith("This log-in took too long")
    assert not WebAuthnCredential.objects.exclude(sign_count=0).exists()


def test_a_passkey_is_the_second_step(alice: User) -> None:
    passkey = with_passkey(alice)
    client = browser()
    client.get(LOG_IN)
    assert password_step(client_with_token(client), alice, **token(client))["Location"] == CODE_PAGE
    assert not is_logged_in(client)
    page = client.get(CODE_PAGE).content.decode()
    assert "Use a passkey" in page
    assert "Six digits" not in page, "there is no app"
    assert send(client, CODE_PAGE, code="123456").status_code == 422
    options = asked(client, "second-step")
    assert [each["id"] for each in options["allowCredentials"]] == [text_of(passkey.credential_id)]
    assert options["userVerification"] == "required"
    assert send(client, CODE_PAGE, passkey=passkey.shown(options))["Location"] == "/account/"
    assert client.session["factors"] == ["passkey", "password"]


def token(client: Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}


def client_with_token(client: Client) -> Client:
    client.get("/account/log-in")
    return client


def test_a_passkey_confirms_where_there_is_an_app_too(alice: User) -> None:
    passkey = with_passkey(alice)
    with_app(alice)
    client = browser()
    client.force_login(alice)
    page = client.get(CONFIRM).content.decode()
    assert "Use a passkey" in page
    assert "Six digits" in page
    assert "Six digits" not in client.get(f"{CONFIRM}?by=passkey").content.decode()
    sent = send(client, CONFIRM, passkey=passkey.shown(asked(client, "confirm")), next="/account/passkeys/add")
    assert sent["Location"] == "/account/passkeys/add"
    assert client.get("/account/passkeys/add").status_code == 200


# What is wrong with an answer, each refused with the same words; the software authenticator does the rest rightly.
WRONG: dict[str, dict[str, Any]] = {
    "wrong origin": {"origin": "https://localhost.evil.example"},
    "another port": {"origin": "http://localhost:9000"},
    "wrong relying party": {"rp_id": "evil.example"},
    "not verified": {"flags": PRESENT},
    "not present": {"flags": VERIFIED},
    "counter going back": {"step": -1},
    "counter standing still": {"step": 0},
    "signed something else": {"signed": b"something else"},
    "made, not shown": {"type": "webauthn.create"},
    "says that it is another user's": {"handle": b"x" * 64},
    "does not say whose it is": {"handle": b""},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_answer_with_one_thing_wrong_opens_nothing(alice: User, wrong: dict[str, Any]) -> None:
    passkey = with_passkey(alice)
    client = browser()
    log_in(client, passkey)
    log_in(browser(), passkey)
    client = browser()
    client.get(LOG_IN)
    sent = send(client, LOG_IN, passkey=passkey.shown(asked(client, "log-in"), **wrong))
    assert sent.status_code == 422
    assert "This passkey was not accepted" in sent.content.decode()
    assert not is_logged_in(client)
    assert WebAuthnCredential.objects.get().sign_count == 2
    assert not PasskeyChallenge.objects.exists(), "its question is used up"
    passkey.counter = 2
    assert log_in(client, passkey).status_code == 302


def test_the_owner_hears_of_a_copied_passkey_and_of_nothing_that_was_not_signed(alice: User) -> None:
    """WebAuthn level 3, section 6.1.1: of two with one key, one has a counter that does not go forward."""
    passkey = with_passkey(alice, name="<phone> & more")
    client = browser(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/1")
    log_in(client, passkey)
    send(client, "/account/log-out")
    client.get(LOG_IN)
    forged = {"step": 0, "signed": b"something else"}
    for number, wrong in enumerate((forged, {"step": 0, "origin": "http://localhost:9000"}, {"step": 0}), 1):
        sent = send(client, LOG_IN, passkey=passkey.shown(asked(client, "log-in"), **wrong))
        assert "This passkey was not accepted" in sent.content.decode()
        assert LogIn.objects.filter(user=alice, succeeded=False, factors="").count() == number
        told = OutgoingEmail.objects.filter(template="passkey_copied")
        assert told.exists() is (wrong == {"step": 0}), wrong
    failed = LogIn.objects.filter(succeeded=False).latest("pk")
    assert (failed.browser, failed.address) == ("Firefox on Linux", "127.0.0.1")
    mail = newest(alice.email, "passkey_copied")
    assert '"<phone> & more"' in mail.text
    assert "&lt;phone&gt; &amp; more" in mail.html
    assert lock_link_to(alice.email, "passkey_copied")
    notice = Notice.objects.get(user=alice)
    assert (notice.title, notice.link) == ("One of your passkeys may have been copied", "/account/passkeys")
    assert "<phone> & more" in notice.body
    [entry] = Record.objects.filter(action="user.passkey-counter")
    assert entry.object == f"user:{alice.pk}"
    # As a second step, too; that the password was right stands in the history already.
    password_step(client_with_token(client), alice, **token(client))
    client.get(CODE_PAGE)
    send(client, CODE_PAGE, passkey=passkey.shown(asked(client, "second-step"), step=-1))
    assert Record.objects.filter(action="user.passkey-counter").count() == 2
    assert not is_logged_in(client)
    passkey.counter = 1
    assert log_in(client, passkey).status_code == 302
    assert Record.objects.filter(action="user.passkey-counter").count() == 2


def test_a_question_is_answered_once_in_its_session_and_for_its_purpose(alice: User) -> None:
    passkey = with_passkey(alice)
    client, other = browser(), browser()
    for each in (client, other):
        each.get(LOG_IN)
    answer = passkey.shown(asked(client, "log-in"))
    asked(other, "log-in")
    late = "That took too long, or was answered already"
    assert late in send(other, LOG_IN, passkey=answer).content.decode(), "a question of another session"
    assert send(client, LOG_IN, passkey=answer).status_code == 302
    client.get(CONFIRM)
    assert late in send(client, CONFIRM, passkey=answer).content.decode()
    send(client, "/account/log-out")
    client.get(LOG_IN)
    assert late in send(client, LOG_IN, passkey=answer).content.decode(), "a second time"
    invented = passkey.shown({"challenge": text_of(secrets.token_bytes(64))})
    assert late in send(client, LOG_IN, passkey=invented).content.decode()
    of_log_in = passkey.shown(asked(client, "log-in"))
    password_step(client_with_token(client), alice, **token(client))
    assert late in send(client, CODE_PAGE, passkey=of_log_in).content.decode(), "of a log-in, not of its second step"
    client.get(LOG_IN)
    options = asked(client, "log-in")
    PasskeyChallenge.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert late in send(client, LOG_IN, passkey=passkey.shown(options)).content.decode()
    assert not is_logged_in(client)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_answers_to_one_question_one_succeeds(make_user: Callable[..., User]) -> None:
    user = make_user()
    passkey = with_passkey(user)
    session, outcomes = "s" * 32, []
    question = ask_for_passkey(purpose=Purpose.CONFIRM, session_key=session, client="", user=user)
    answer = passkey.shown(question)

    def use() -> None:
        try:
            use_passkey(purpose=Purpose.CONFIRM, answer=answer, session_key=session, client="", user_id=user.pk)
            outcomes.append("success")
        except PasskeyRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(FAILURES_PER_SUBJECT_MAX)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["refused"] * (FAILURES_PER_SUBJECT_MAX - 1) + ["success"]


@pytest.mark.django_db(transaction=True)
def test_the_very_passkey_is_removed_while_it_logs_in(make_user: Callable[..., User], rf: Any) -> None:
    """threat-T3: a stolen one, removed by its owner while the thief's log-in waits to complete; another one stays."""
    user = make_user()
    passkey = with_passkey(user, "stolen")
    stolen = WebAuthnCredential.objects.get()
    with_passkey(user, "kept")
    session, request = "s" * 32, rf.post("/")
    request.session = SessionStore()
    answer = passkey.shown(ask_for_passkey(purpose=Purpose.LOG_IN, session_key=session, client=""))
    thief, shown = use_passkey(purpose=Purpose.LOG_IN, answer=answer, session_key=session, client="")

    def complete() -> None:
        try:
            open_session(request=request, user=thief, shown=shown)
        finally:
            connection.close()

    # Not by the connection of the transaction, which sees the same activity until its end.
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as watching, ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            remove_passkey(user_id=user.pk, passkey_id=stolen.pk)
            completing = pool.submit(complete)
            until(lambda: completing.done() or watching.execute(SOMEBODY_WAITS).fetchone() is not None)
            assert not completing.done(), "it has waited for nobody"
        with pytest.raises(SessionEnded):
            completing.result(timeout=60)
    assert not Session.objects.exists()
    assert passkeys_of(user_id=user.pk).get().name == "kept"


def test_somebody_elses_passkey_is_no_second_step_and_confirms_nothing(alice: User) -> None:
    with_passkey(alice)
    bob = User.objects.create_user("bob@example.org", "correct horse battery")
    foreign = with_passkey(bob)
    client = browser()
    password_step(client_with_token(client), alice, **token(client))
    refused = "This passkey was not accepted"
    client.get(CODE_PAGE)
    assert refused in send(client, CODE_PAGE, passkey=foreign.shown(asked(client, "second-step"))).content.decode()
    assert not is_logged_in(client)
    client.force_login(alice)
    client.get(CONFIRM)
    assert refused in send(client, CONFIRM, passkey=foreign.shown(asked(client, "confirm"))).content.decode()
    assert client.get("/account/passkeys/add").status_code == 302


@pytest.mark.parametrize("change", ["removed", "switched off", "locked", "address not proved"])
def test_a_passkey_that_lets_nobody_in(alice: User, change: str) -> None:
    passkey = with_passkey(alice)
    if change == "removed":
        remove_passkey(user_id=alice.pk, passkey_id=WebAuthnCredential.objects.get().pk)
    elif change == "locked":
        User.objects.update(locked_at=timezone.now())
    else:
        User.objects.update(**({"is_active": False} if change == "switched off" else {"email_verified_at": None}))
    client = browser()
    unknown = log_in(browser(), Passkey(user_handle=b"h" * 64))
    sent = log_in(client, passkey)
    assert (sent.status_code, len(sent.content)) == (422, len(unknown.content)), "as for a passkey of nobody"
    assert "This passkey was not accepted" in sent.content.decode()
    assert not is_logged_in(client)


def test_guessing_is_slowed_down_as_with_passwords(alice: User) -> None:
    passkey = with_passkey(alice)
    client = browser()
    client.get(LOG_IN)
    for _ in range(FAILURES_PER_SUBJECT_MAX):
        sent = send(client, LOG_IN, passkey=passkey.shown(asked(client, "log-in"), signed=b"?"))
        assert sent.status_code == 422
    right = passkey.shown(asked(client, "log-in"))
    sent = send(client, LOG_IN, passkey=right)
    assert sent.status_code == 429
    assert "Too many failed attempts" in sent.content.decode()
    elsewhere = browser(REMOTE_ADDR="203.0.113.9")
    assert log_in(elsewhere, passkey).status_code == 302, "who knows a passkey's id keeps nobody out"


def test_questions_that_nobody_answers_are_bounded(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.accounts.services.passkeychallenges.PASSKEY_CHALLENGES_PER_NETWORK_MAX", 2)
    client = browser()
    client.get(LOG_IN)
    asked(client, "log-in")
    asked(client, "log-in")
    assert asked(client, "log-in", status=429).startswith("Too many from your network use passkeys")
    # Strangers without cookies make no rows by what is refused.
    sessions = Session.objects.count()
    stranger = browser()
    stranger.get(LOG_IN)
    asked(stranger, "log-in", status=429)
    assert send(stranger, LOG_IN, passkey="{}").status_code == 422
    assert Session.objects.count() == sessions
    PasskeyChallenge.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    asked(client, "log-in")


def test_bytes_of_strangers_are_refused_whatever_they_are(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that are none, and answers with a part cut, changed or of another kind: never a fault of ours."""
    for limit in ("FAILURES_PER_SUBJECT_MAX", "FAILURES_PER_NETWORK_MAX", "FAILURES_PER_ACCOUNT_MAX"):
        monkeypatch.setattr(f"apps.accounts.services.throttle.{limit}", 10_000)
    passkey = with_passkey(alice)
    client = browser()
    client.get(LOG_IN)
    seed = secrets.randbits(32)
    chosen = random.Random(seed)

    def broken() -> str:
        answer = json.loads(passkey.shown(asked(client, "log-in")))
        place = chosen.choice([answer, answer["response"]])
        name = chosen.choice(sorted(place))
        text = place[name] if isinstance(place[name], str) else "text"
        cut = chosen.randrange(len(text))
        place[name] = chosen.choice([None, 7, [], {}, "", text[:cut], text[:cut] + "B" + text[cut:], text[:cut] + "é"])
        return json.dumps(answer)

    texts = ["{", "[]", "null", "7", '"x"', "{}", "[" * 5_000, '{"response": 7}', "x" * 20_000, "\x00", ""]
    for text in [*texts, *(broken() for _ in range(25))]:
        assert send(client, LOG_IN, passkey=text).status_code == 422, (seed, text)
    assert not is_logged_in(client), seed
