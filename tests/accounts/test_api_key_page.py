"""The page of API keys: the secret is shown once, foreign keys cannot be touched, text stays text."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import ApiKeyRefused, NoTradingAccount
from apps.accounts.facts import Factor, Facts
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.secrets import decrypt_secret
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import create_api_key, register_public_key
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account
from apps.accounts.views import apikeys
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
PAGE = "/account/api-keys"

Post = Callable[..., Any]


def _fields(**changes: str) -> dict[str, str]:
    return {"label": "bot", "can_read": "on", "password": PASSWORD} | changes


def test_secret_is_on_the_answer_to_creation_and_nowhere_else(alice_client: Client, csrf_post: Post) -> None:
    response = csrf_post(alice_client, PAGE, PAGE, _fields())
    assert response.status_code == 200
    key = ApiKey.objects.get()
    secret = decrypt_secret(key.public_key, key.secret_box).decode()
    page = response.content.decode()
    assert secret in page
    assert key.public_key in page
    assert "no-store" in response["Cache-Control"]
    again = alice_client.get(PAGE).content.decode()
    assert key.label in again
    assert secret not in again


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 61}, "label"),
        ({"label": "a\x00b"}, "label"),
        ({"label": "a\u202eb"}, "label"),
        ({"can_read": ""}, "can_read"),
        ({"networks": "203.0.113.7 nowhere"}, "networks"),
        ({"networks": "0.0.0.0/0"}, "networks"),
        ({"networks": " ".join(f"10.0.0.{n}" for n in range(31))}, "networks"),
        ({"password": "wrong"}, "password"),
        ({"password": ""}, "password"),
    ],
)
def test_refused_creation_names_the_field(
    alice_client: Client, csrf_post: Post, changes: dict[str, str], field: str
) -> None:
    response = csrf_post(alice_client, PAGE, PAGE, _fields(**changes))
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {field}
    assert not ApiKey.objects.exists()


def test_a_key_for_some_addresses_only(alice_client: Client, csrf_post: Post) -> None:
    typed = "203.0.113.7, 2001:DB8::/32  198.51.100.0/24"
    assert csrf_post(alice_client, PAGE, PAGE, _fields(networks=typed)).status_code == 200
    assert ApiKey.objects.get().allowed_networks == ["203.0.113.7", "2001:db8::/32", "198.51.100.0/24"]
    assert "203.0.113.7, 2001:db8::/32, 198.51.100.0/24" in alice_client.get(PAGE).content.decode()


def test_extra_fields_do_not_choose_account_or_key(
    alice: User, alice_client: Client, csrf_post: Post, make_user: Callable[..., User]
) -> None:
    other = main_account_id(user_id=make_user("bob@example.org").pk)
    csrf_post(alice_client, PAGE, PAGE, _fields(account=str(other), account_id=str(other), public_key="A" * 64))
    key = ApiKey.objects.get()
    assert key.account_id == main_account_id(user_id=alice.pk)
    assert key.public_key != "A" * 64


def test_revoke(alice_client: Client, csrf_post: Post) -> None:
    csrf_post(alice_client, PAGE, PAGE, _fields())
    key = ApiKey.objects.get()
    response = csrf_post(alice_client, PAGE, f"{PAGE}/{key.pk}/revoke")
    assert response["Location"] == PAGE
    key.refresh_from_db()
    assert key.is_revoked
    assert "revoked" in alice_client.get(PAGE).content.decode()


def test_foreign_and_unknown_keys_are_not_found(
    alice_client: Client, csrf_post: Post, make_user: Callable[..., User]
) -> None:
    bob = main_account_id(user_id=make_user("bob@example.org").pk)
    assert bob is not None
    foreign = issue_hmac_key(account_id=bob, terms=KeyTerms(label="bob's", can_read=True, can_trade=True)).key
    answers = []
    for key_id in (foreign.pk, foreign.pk + 1000):
        response = csrf_post(alice_client, PAGE, f"{PAGE}/{key_id}/revoke")
        token = str(response.context["csrf_token"])
        page = response.content.decode().replace(token, "").replace(f"/{key_id}/revoke", "")
        answers.append((response.status_code, page))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    foreign.refresh_from_db()
    assert not foreign.is_revoked
    assert "bob" not in alice_client.get(PAGE).content.decode()


def test_a_key_that_trades_needs_a_second_factor(alice: User, alice_client: Client, csrf_post: Post) -> None:
    """Requirement A3: the page says so and leads to it; with a factor, its code and no password."""
    refused = csrf_post(alice_client, PAGE, PAGE, _fields(can_trade="on"))
    assert refused.status_code == 422
    assert refused.context["form"].errors.keys() == {"can_trade"}
    assert 'href="/account/two-factor"' in refused.content.decode()
    with_app(alice)
    asked = csrf_post(alice_client, "/account/", PAGE, _fields(can_trade="on"))
    assert asked["Location"] == "/account/confirm-it-is-you?next=%2Faccount%2Fapi-keys"
    assert 'name="label"' not in alice_client.get(PAGE).content.decode()
    assert not ApiKey.objects.exists()
    confirm_now(alice_client)
    assert csrf_post(alice_client, PAGE, PAGE, {"label": "bot", "can_trade": "on"}).status_code == 200
    assert ApiKey.objects.get().can_trade


def test_the_factor_is_there_until_a_key_that_trades_is_made(
    alice: User, alice_client: Client, csrf_post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_app(alice)
    confirm_now(alice_client)

    def removed_first(**named: Any) -> Any:
        remove_totp(user_id=alice.pk)
        return create_api_key(**named)

    monkeypatch.setattr(apikeys, "create_api_key", removed_first)
    response = csrf_post(alice_client, PAGE, PAGE, _fields(can_trade="on"))
    assert response.status_code == 422
    assert "needs two-factor log-in" in str(response.context["form"].errors["__all__"])
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("right", ["can_read", "can_trade"])
def test_a_frozen_account_gets_no_key(alice: User, alice_client: Client, csrf_post: Post, right: str) -> None:
    with_app(alice)
    confirm_now(alice_client)
    desk = create_sub_account(user_id=alice.pk, label="Desk")
    page = f"/account/sub-accounts/{desk.pk}/api-keys"
    freeze_sub_account(user_id=alice.pk, account_id=desk.pk)
    response = csrf_post(alice_client, page, page, {"label": "bot", right: "on"})
    assert response.status_code == 422
    assert "frozen" in str(response.context["form"].errors["__all__"])
    assert not ApiKey.objects.exists()


def test_the_service_decides_by_itself(alice: User) -> None:
    """Whoever calls it, and whatever they say of the user's factors."""
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    told = frozenset({Factor.AUTHENTICATOR})
    facts = Facts(user_id=alice.pk, factors=told, confirmed_at=timezone.now(), confirmed_by=told)
    terms = KeyTerms.chosen(label="bot", can_read=True, can_trade=True)
    with pytest.raises(ApiKeyRefused) as refused:
        create_api_key(facts=facts, account_id=account_id, terms=terms)
    assert refused.value.code == "FACTOR_MISSING"
    pem = (
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    )
    with pytest.raises(ApiKeyRefused):
        register_public_key(facts=facts, account_id=account_id, pem=pem, terms=terms)
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    reads = replace(terms, can_trade=False)
    with pytest.raises(NoTradingAccount):
        create_api_key(facts=replace(facts, user_id=bob.pk), account_id=account_id, terms=reads)
    assert not ApiKey.objects.exists()
    with_app(alice)
    assert create_api_key(facts=facts, account_id=account_id, terms=terms).key.can_trade
    other = replace(terms, label="other")
    assert register_public_key(facts=facts, account_id=account_id, pem=pem, terms=other).can_trade
