"""Sign-up: nothing exists before the mailed link was followed; one account per address whatever happens."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import identify_hasher
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from apps.accounts.errors import AddressTaken, LinkDead, TooManyAttempts
from apps.accounts.models import MailedLink, TradingAccount, User
from apps.accounts.policy import FAILURES_PER_SUBJECT_MAX, SIGN_UP_LINK_S
from apps.accounts.services.signup import confirm_sign_up, sign_up
from apps.notifications.models import OutgoingEmail
from tests.accounts.mailbox import HERE, link_to, newest, signed_up, submit, token_of
from tests.hashing import platform_cost

GOOD = "correct horse battery"
ALICE = "alice@example.org"


def _sign_up(email: str = ALICE, password: str = GOOD) -> str:
    """The token that was mailed."""
    sign_up(email=email, password=password, client=HERE)
    return token_of(link_to(email.lower()))


def _confirm(token: str, password: str = GOOD) -> User | None:
    return confirm_sign_up(token=token, password=password, client=HERE)


@pytest.mark.django_db
def test_makes_user_and_main_account_only_when_the_link_is_followed() -> None:
    token = _sign_up("Alice@Example.org")
    assert not User.objects.exists()
    assert authenticate(username=ALICE, password=GOOD) is None
    assert _confirm(token) is not None
    user = User.objects.get()
    account = TradingAccount.objects.get()
    assert (user.email, user.is_staff, user.is_superuser) == (ALICE, False, False)
    assert user.email_verified_at is not None
    assert (account.owner, account.is_main, account.tier) == (user, True, "standard")
    assert account.pk >= 1001
    assert authenticate(username=ALICE, password=GOOD) == user


@pytest.mark.django_db
def test_password_is_argon2id_with_the_required_cost() -> None:
    with platform_cost():
        stored = signed_up(ALICE, GOOD).password
        # Django's prefix, then the encoded hash: variant, version, KiB, passes, lanes.
        assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
        assert not identify_hasher(stored).must_update(stored)


@pytest.mark.django_db
def test_existing_address_in_another_case_changes_nothing() -> None:
    signed_up(ALICE, GOOD)
    before = User.objects.values().get()
    sign_up(email="ALICE@example.org", password="another good password", client=HERE)
    assert "has an account already" in newest(ALICE).text
    assert User.objects.values().get() == before
    assert authenticate(username=ALICE, password=GOOD) is not None
    assert authenticate(username=ALICE, password="another good password") is None


@pytest.mark.django_db
def test_the_token_of_a_known_address_is_in_no_message() -> None:
    signed_up(ALICE, GOOD)
    sign_up(email=ALICE, password=GOOD, client=HERE)
    content = newest(ALICE)
    assert "/account/confirm/" not in content.text + content.html


@pytest.mark.django_db
def test_a_link_works_once_and_ends_the_others_of_its_address() -> None:
    first, second = _sign_up(), _sign_up(password="another good password")
    assert _confirm(second, "another good password") is not None
    for token, password in ((second, "another good password"), (first, GOOD)):
        with pytest.raises(LinkDead):
            _confirm(token, password)
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_an_expired_link_does_not_work() -> None:
    token = _sign_up()
    MailedLink.objects.update(expires_at=F("expires_at") - timedelta(seconds=SIGN_UP_LINK_S - 60))
    MailedLink.objects.update(expires_at=F("expires_at") - timedelta(seconds=61))
    with pytest.raises(LinkDead):
        _confirm(token)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_no_altered_link_works() -> None:
    token = _sign_up()
    altered = [token[:-1], token + "A", token.swapcase(), secrets.token_urlsafe(32), "", "\x00", "\ud800"]
    for other in altered:
        with pytest.raises(LinkDead):
            _confirm(other)
    assert _confirm(token) is not None


@pytest.mark.django_db
def test_a_link_of_another_purpose_does_not_work() -> None:
    token = _sign_up()
    MailedLink.objects.update(purpose=MailedLink.Purpose.RESET)
    with pytest.raises(LinkDead):
        _confirm(token)


@pytest.mark.django_db
def test_the_token_is_not_stored() -> None:
    token = _sign_up()
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(t::text, '') FROM accounts_mailedlink t")
        (links,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(t::text, '') FROM notifications_outgoingemail t")
        (emails,) = cursor.fetchone()
    for dump in (links, emails):
        assert token not in dump
        assert token.encode().hex() not in dump


@pytest.mark.django_db
def test_who_does_not_know_the_password_makes_no_account() -> None:
    """Somebody signs up with an address that is not theirs; its owner follows the link."""
    token = _sign_up()
    for _ in range(FAILURES_PER_SUBJECT_MAX):
        assert _confirm(token, "a guess of mine") is None
    with pytest.raises(TooManyAttempts):
        _confirm(token)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_an_address_that_has_an_account_by_now_is_said() -> None:
    token = _sign_up()
    User.objects.create_user(ALICE, "the password of staff")
    with pytest.raises(AddressTaken):
        _confirm(token)
    assert authenticate(username=ALICE, password="the password of staff") is not None


@pytest.mark.django_db
def test_an_address_that_was_never_proved_cannot_log_in() -> None:
    user = User.objects.create_user(ALICE, GOOD, email_verified_at=None)
    assert authenticate(username=ALICE, password=GOOD) is None
    client = Client()
    client.force_login(user)
    assert client.get("/account/").status_code == 302


@pytest.mark.django_db
def test_database_refuses_a_second_case_of_an_address() -> None:
    signed_up(ALICE, GOOD)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="Alice@example.org", password="!")])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short1!xy", "10 characters"),
        ("1234567890", "common"),
        ("92837465019283", "numeric"),
        ("alice@example", "similar"),
    ],
)
def test_weak_password_is_refused_with_the_reason(password: str, word: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        sign_up(email=ALICE, password=password, client=HERE)
    assert word in " ".join(refusal.value.messages)
    assert not MailedLink.objects.exists()
    assert not OutgoingEmail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_link_followed_ten_times_at_once_and_its_rivals_make_one_account() -> None:
    tokens = [_sign_up() for _ in range(2)] * 5

    def one(number: int) -> bool:
        try:
            # From ten networks, because parallel attempts from one count against each other.
            user = confirm_sign_up(token=tokens[number], password=GOOD, client=f"198.51.100.{number}")
            return user is not None
        except LinkDead:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(one, range(10))).count(True) == 1
    assert (User.objects.count(), TradingAccount.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_pages_from_sign_up_to_the_account(settings: Settings) -> None:
    settings.PUBLIC_ORIGIN = "https://exchange.example"
    client = Client(enforce_csrf_checks=True, headers={"host": "testserver"})
    response = submit(client, "/account/sign-up", email=ALICE, password=GOOD)
    assert (response.status_code, response["location"]) == (302, "/account/check-mail")
    assert "Look into your mailbox" in client.get("/account/check-mail").content.decode()
    assert newest(ALICE).text.count("https://exchange.example/account/confirm/") == 1
    link = link_to(ALICE)
    assert ALICE in client.get(link).content.decode()
    assert not User.objects.exists(), "opening a link changes nothing"
    response = submit(client, link, password="not that one")
    assert response.status_code == 422
    response = submit(client, link, password=GOOD)
    assert (response.status_code, response["location"]) == (302, "/account/")
    assert ALICE in client.get("/account/").content.decode()
    assert Client().get(link).status_code == 410


@pytest.mark.django_db
def test_links_never_come_from_the_host_header() -> None:
    submit(Client(headers={"host": "localhost"}), "/account/sign-up", email=ALICE, password=GOOD)
    assert "http://localhost:8000/account/confirm/" in newest(ALICE).text


@pytest.mark.django_db
def test_page_names_the_bad_field_and_keeps_the_address() -> None:
    response = submit(Client(), "/account/sign-up", email=ALICE, password="short")
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {"password"}
    assert 'value="alice@example.org"' in response.content.decode()
    response = submit(Client(), "/account/sign-up", email="not an address", password=GOOD)
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {"email"}
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["is_staff", "is_superuser", "is_active", "user", "tier"])
def test_extra_fields_are_ignored(field: str) -> None:
    client = Client()
    client.post("/account/sign-up", {"email": ALICE, "password": GOOD, field: "1"})
    client.post(link_to(ALICE), {"password": GOOD, field: "1"})
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert user.trading_accounts.get().tier == "standard"


@pytest.mark.django_db
def test_a_used_link_and_its_rivals_keep_no_password() -> None:
    first, _ = _sign_up(), _sign_up()
    assert MailedLink.objects.exclude(password="").count() == 2
    assert _confirm(first) is not None
    assert not MailedLink.objects.exclude(password="").exists()
    assert authenticate(username=ALICE, password=GOOD) is not None
