"""The user's own phrase stands in every e-mail to them, and nowhere else (requirement A1)."""

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services.signup import sign_up
from apps.notifications.models import OutgoingEmail
from tests.accounts.mailbox import HERE, link_to, newest, submit
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
PHRASE = "blue <b>heron</b> & 7"
SHOWN = "Your phrase: "
PAGE = "/account/mail-phrase"


def _choose(client: Client, phrase: str, password: str = PASSWORD) -> int:
    return int(submit(client, PAGE, phrase=phrase, password=password).status_code)


def test_it_is_in_each_message_to_its_user(alice: User, alice_client: Client) -> None:
    assert _choose(alice_client, f"  {PHRASE} ") == 302
    assert "heron" in alice_client.get("/account/").content.decode()
    submit(Client(), "/account/forgot-password", email=alice.email)
    reset = newest(alice.email)
    assert f"{SHOWN}{PHRASE}\n" in reset.text
    assert "&lt;b&gt;heron&lt;/b&gt; &amp; 7" in reset.html
    sign_up(email=alice.email, password="another good password", client=HERE)
    known = newest(alice.email)
    submit(alice_client, "/account/password", current=PASSWORD, new="a new good password")
    changed = newest(alice.email)
    assert PHRASE in known.text
    assert PHRASE in changed.text
    assert len({reset.text, known.text, changed.text}) == 3


def test_an_address_that_is_not_proved_does_not_get_it(alice_client: Client) -> None:
    assert _choose(alice_client, PHRASE) == 302
    submit(alice_client, "/account/email", email="new@example.org", password=PASSWORD)
    assert SHOWN not in newest("new@example.org").text
    sign_up(email="fresh@example.org", password="another good password", client=HERE)
    assert SHOWN not in newest("fresh@example.org").text


def test_the_old_address_gets_it_when_it_is_replaced(alice: User, alice_client: Client) -> None:
    assert _choose(alice_client, PHRASE) == 302
    submit(alice_client, "/account/email", email="new@example.org", password=PASSWORD)
    assert submit(alice_client, link_to("new@example.org")).status_code == 302
    assert PHRASE in newest("alice@example.org").text


def test_a_change_is_told_with_the_old_one_and_recorded_without_either(alice: User, alice_client: Client) -> None:
    assert _choose(alice_client, "the first one") == 302
    assert "phrase" in newest(alice.email).text
    assert SHOWN not in newest(alice.email).text
    assert _choose(alice_client, "the second one") == 302
    told = newest(alice.email)
    assert f"{SHOWN}the first one\n" in told.text
    assert "second" not in told.text + told.html
    assert _choose(alice_client, "the second one") == 302
    assert OutgoingEmail.objects.count() == 2, "the same one is no change"
    with connection.cursor() as cursor:
        cursor.execute("SELECT object, r::text FROM audit_record r WHERE action = 'user.phrase-changed'")
        rows = cursor.fetchall()
    assert [name for name, _ in rows] == [f"user:{alice.pk}"] * 2
    assert not any("the first" in text or "the second" in text for _, text in rows)


def test_none_is_none(alice: User, alice_client: Client) -> None:
    assert (_choose(alice_client, PHRASE), _choose(alice_client, "")) == (302, 302)
    submit(Client(), "/account/forgot-password", email=alice.email)
    assert SHOWN not in newest(alice.email).text


@pytest.mark.parametrize(
    ("phrase", "password"),
    [("abc", PASSWORD), ("x" * 41, PASSWORD), ("two\nlines", PASSWORD), ("a\x00bcd", PASSWORD), (PHRASE, "wrong")],
)
def test_refusals_change_nothing(alice: User, alice_client: Client, phrase: str, password: str) -> None:
    assert _choose(alice_client, phrase, password) == 422
    alice.refresh_from_db()
    assert alice.mail_phrase == ""
    assert not OutgoingEmail.objects.exists()
