"""Sign-up: one account per address whatever happens, and an answer that does not tell whether it existed."""

from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import identify_hasher
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from apps.accounts.models import TradingAccount, User
from apps.accounts.services.signup import sign_up
from apps.accounts.views.entry import SIGN_UP_DONE

GOOD = "correct horse battery"


@pytest.mark.django_db
def test_makes_user_and_main_account() -> None:
    sign_up(email="Alice@Example.org", password=GOOD)
    user = User.objects.get()
    account = TradingAccount.objects.get()
    assert (user.email, user.is_staff, user.is_superuser, user.email_verified_at) == (
        "alice@example.org",
        False,
        False,
        None,
    )
    assert (account.owner, account.is_main, account.tier) == (user, True, "standard")
    assert account.pk >= 1001


@pytest.mark.django_db
def test_password_is_argon2id_with_the_required_cost() -> None:
    sign_up(email="alice@example.org", password=GOOD)
    stored = User.objects.get().password
    # Django's prefix, then the encoded hash: variant, version, KiB, passes, lanes.
    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert not identify_hasher(stored).must_update(stored)


@pytest.mark.django_db
def test_existing_address_in_another_case_changes_nothing() -> None:
    sign_up(email="alice@example.org", password=GOOD)
    before = User.objects.values().get()
    sign_up(email="ALICE@example.org", password="another good password")
    assert User.objects.values().get() == before
    assert authenticate(username="alice@example.org", password=GOOD) is not None
    assert authenticate(username="alice@example.org", password="another good password") is None


@pytest.mark.django_db
def test_database_refuses_a_second_case_of_an_address() -> None:
    sign_up(email="alice@example.org", password=GOOD)
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
        sign_up(email="alice@example.org", password=password)
    assert word in " ".join(refusal.value.messages)
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_ten_sign_ups_at_once_make_one_account() -> None:
    def one(number: int) -> None:
        sign_up(email="alice@example.org", password=f"{GOOD} {number}")
        connection.close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one, range(10)))
    assert (User.objects.count(), TradingAccount.objects.count()) == (1, 1)


def _sign_up(client: Client, email: str, password: str = GOOD) -> Any:
    client.get("/account/sign-up")
    token = client.cookies["csrftoken"].value
    return client.post(
        "/account/sign-up", {"email": email, "password": password, "csrfmiddlewaretoken": token}, follow=True
    )


@pytest.mark.django_db
def test_page_answers_the_same_for_new_and_known_addresses() -> None:
    sign_up(email="known@example.org", password=GOOD)
    answers = []
    for email in ("known@example.org", "fresh@example.org"):
        response = _sign_up(Client(enforce_csrf_checks=True), email)
        text = response.content.decode()
        token = response.context["csrf_token"]
        answers.append((response.status_code, response.redirect_chain, text.replace(str(token), "")))
    assert answers[0] == answers[1]
    assert escape(SIGN_UP_DONE) in answers[0][2]
    assert User.objects.filter(email="fresh@example.org").count() == 1


@pytest.mark.django_db
def test_page_names_the_bad_field_and_keeps_the_address() -> None:
    response = _sign_up(Client(), "alice@example.org", "short")
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {"password"}
    assert 'value="alice@example.org"' in response.content.decode()
    response = _sign_up(Client(), "not an address")
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {"email"}
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["is_staff", "is_superuser", "is_active", "email_verified_at", "tier"])
def test_extra_fields_are_ignored(field: str) -> None:
    client = Client()
    client.post("/account/sign-up", {"email": "alice@example.org", "password": GOOD, field: "1"})
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.is_active, user.email_verified_at) == (False, False, True, None)
    assert user.trading_accounts.get().tier == "standard"


@pytest.mark.django_db
def test_without_csrf_token_nothing_happens() -> None:
    response = Client(enforce_csrf_checks=True).post(
        "/account/sign-up", {"email": "alice@example.org", "password": GOOD}
    )
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()
    assert not User.objects.exists()
