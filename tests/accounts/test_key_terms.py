"""Rights, ends and names of new API keys (requirement A5, threat-T6), by the services and on the page."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import (
    ApiKeyNotFound,
    ApiKeyRefused,
    FactorNeeded,
    InvalidApiKeyRequest,
    InvalidNetwork,
    LabelTaken,
)
from apps.accounts.facts import Factor, Facts
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import API_KEY_LIFETIME_DAYS, API_KEY_LIFETIMES_DAYS, API_KEYS_PER_ACCOUNT_MAX
from apps.accounts.selectors import accounts_with_keys, api_keys_of, count_api_keys, main_account
from apps.accounts.services.api_keys import create_api_key, limit_api_key, register_public_key
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.notifications.models import Notice, OutgoingEmail
from tests.accounts.factors import called_lost, confirm_now, with_app
from tests.accounts.mailbox import lock_link_to, newest
from tests.accounts.passkeys import asked, browser, send, with_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

PAGE = "/account/api-keys"
HERE = ["203.0.113.7"]
BY = {"reason": "tests", "requested_by": "tests"}
APP = frozenset({Factor.AUTHENTICATOR})

Post = Callable[..., Any]


def pem_of_a_key() -> str:
    made = Ed25519PrivateKey.generate().public_key()
    return made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def facts(user: User, *, fresh: bool = False) -> Facts:
    return Facts(user_id=user.pk, confirmed_at=timezone.now(), confirmed_by=APP, fresh_by=APP if fresh else frozenset())


def make(user: User, *, fresh: bool = False, **terms: Any) -> ApiKey:
    chosen = KeyTerms.chosen(**{"label": "bot", "can_read": True, "can_trade": False, **terms})
    account = main_account(user_id=user.pk)
    return create_api_key(facts=facts(user, fresh=fresh), account_id=account.pk, terms=chosen).key


@pytest.mark.django_db
def test_how_long_a_key_lives(alice: User) -> None:
    before = timezone.now()
    key = make(alice)
    assert key.expires_at is not None
    assert timedelta(0) <= key.expires_at - before - timedelta(days=API_KEY_LIFETIME_DAYS) < timedelta(minutes=5)
    for days in API_KEY_LIFETIMES_DAYS:
        assert make(alice, label=str(days), lifetime_days=days).expires_at
    for days in (0, 1, 91, 366, -30):
        with pytest.raises(InvalidApiKeyRequest, match="30, 90, 180, 365"):
            make(alice, label="x", lifetime_days=days)
    with pytest.raises(InvalidNetwork, match="never expires"):
        make(alice, label="x", lifetime_days=None)
    assert ApiKey.objects.count() == 1 + len(API_KEY_LIFETIMES_DAYS)
    assert make(alice, label="office", lifetime_days=None, networks=HERE).expires_at is None
    for end in (None, timezone.now() + timedelta(days=365)):
        with pytest.raises(IntegrityError, match="keeps its end"), transaction.atomic():
            ApiKey.objects.filter(pk=key.pk).update(expires_at=end)


@pytest.mark.django_db
def test_a_key_that_withdraws(alice: User) -> None:
    """Only with networks, an end, a second factor and a code of its own; and it keeps all of them."""
    withdraws: Any = {"can_withdraw": True, "networks": HERE}
    with pytest.raises(ApiKeyRefused) as refused:
        make(alice, fresh=True, **withdraws)
    assert refused.value.code == "FACTOR_MISSING"
    with_app(alice)
    for terms, fresh, code in (
        (withdraws, False, "CODE_NEEDED"), ({"can_withdraw": True}, True, "INVALID_NETWORK"),
        ({**withdraws, "lifetime_days": None}, True, "INVALID_API_KEY_REQUEST"),
        ({**withdraws, "networks": ["nowhere"]}, True, "INVALID_NETWORK"),
    ):  # fmt: skip
        with pytest.raises((ApiKeyRefused, InvalidApiKeyRequest, InvalidNetwork)) as why:
            make(alice, fresh=fresh, **terms)
        assert why.value.code == code
    assert not ApiKey.objects.exists()
    key = make(alice, fresh=True, can_read=False, **withdraws)
    assert (key.can_read, key.can_trade, key.can_withdraw) == (False, False, True)
    with pytest.raises(InvalidNetwork):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=[], **BY)
    for change in ({"allowed_networks": []}, {"can_withdraw": False}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiKey.objects.filter(pk=key.pk).update(**change)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["198.51.100.0/24"], **BY)
    with pytest.raises(FactorNeeded, match="1 of your API keys"):
        remove_totp(user_id=alice.pk)


@pytest.mark.django_db
def test_a_public_key_has_the_same_terms(alice: User) -> None:
    with_app(alice)
    pem = pem_of_a_key()
    terms = KeyTerms.chosen(label="x", can_read=True, can_trade=False, can_withdraw=True, networks=HERE)
    account_id = main_account(user_id=alice.pk).pk
    with pytest.raises(ApiKeyRefused):
        register_public_key(facts=facts(alice), account_id=account_id, pem=pem, terms=terms)
    assert not ApiKey.objects.exists()
    key = register_public_key(facts=facts(alice, fresh=True), account_id=account_id, pem=pem, terms=terms)
    assert (key.can_withdraw, key.allowed_networks, key.is_in_use) == (True, HERE, True)


@pytest.mark.django_db
def test_the_owner_hears_of_each_new_key(alice: User) -> None:
    """By e-mail with the link that locks, and in the centre; of those that the exchange sets up itself nobody does."""
    terms = KeyTerms(label="demo", can_read=True, can_trade=True)
    issue_hmac_key(account_id=main_account(user_id=alice.pk).pk, terms=terms)
    with pytest.raises(InvalidNetwork):
        make(alice, label="x", networks=["nowhere"])
    assert not OutgoingEmail.objects.exists()
    with_app(alice)
    key = make(alice, label="my <bot>", can_trade=True, networks=HERE)
    mail = newest(alice.email, "key_made")
    for text in ("my <bot>", key.public_key[:6], "read, trade", HERE[0], f"{key.expires_at:%Y-%m-%d %H:%M} UTC", PAGE):
        assert text in mail.text, text
    assert "my &lt;bot&gt;" in mail.html
    assert key.public_key not in mail.text
    assert lock_link_to(alice.email, "key_made")
    notice = Notice.objects.get(user=alice)
    assert (notice.title, notice.link) == ("A new API key of your account", PAGE)
    assert "“my <bot>” can read, trade." in notice.body
    desk = create_sub_account(user_id=alice.pk, label="Desk")
    terms = KeyTerms.chosen(label="reader", can_read=True, can_trade=False)
    register_public_key(facts=facts(alice), account_id=desk.pk, pem=pem_of_a_key(), terms=terms)
    text = newest(alice.email, "key_made").text
    assert "the sub-account Desk" in text
    assert "It works from: everywhere" in text
    assert f"/account/sub-accounts/{desk.pk}/api-keys" in text
    assert OutgoingEmail.objects.count() == Notice.objects.count() == 2


@pytest.mark.django_db
def test_an_expired_key_is_none_any_more(alice: User) -> None:
    with_app(alice)
    account_id = main_account(user_id=alice.pk).pk
    past = timezone.now() - timedelta(seconds=1)
    over = issue_hmac_key(
        account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True, expires_at=past)
    ).key
    for number in range(API_KEYS_PER_ACCOUNT_MAX - 1):
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label=str(number), can_read=True, can_trade=False))
    # Neither its place nor its name is taken.
    new = make(alice)
    assert (over.is_in_use, over.is_expired, over.is_revoked) == (False, True, False)
    with pytest.raises(ApiKeyNotFound):
        limit_api_key(account_id=account_id, key_id=over.pk, networks=HERE, **BY)
    counts = count_api_keys(account_id=account_id)
    assert (counts.usable, counts.over) == (API_KEYS_PER_ACCOUNT_MAX, 1)
    assert [row.usable_keys for row in accounts_with_keys(user_id=alice.pk)] == [API_KEYS_PER_ACCOUNT_MAX]
    listed = [key.pk for key in api_keys_of(account_id=account_id)]
    assert (listed[0], listed[-1]) == (new.pk, over.pk)
    # It does not keep its owner from removing the factor, though it traded.
    remove_totp(user_id=alice.pk)


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_many_times_makes_one_key(make_user: Callable[..., User]) -> None:
    alice = make_user()

    def one(_: int) -> bool:
        try:
            make(alice, label=" bot ")
            return True
        except LabelTaken:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(8)))
    assert (made.count(True), ApiKey.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_the_page_makes_and_shows_them(alice: User, alice_client: Client, csrf_post: Post) -> None:
    secret, _ = with_app(alice)
    confirm_now(alice_client)
    fields = {"label": "bot", "can_read": "on", "can_withdraw": "on", "networks": HERE[0]}
    unused = fresh_code(secret)
    make(alice, label="taken")
    for changes, field in (
        ({"networks": ""}, "networks"), ({"lifetime": "never"}, "lifetime"), ({"lifetime": "91"}, "lifetime"),
        ({"code": ""}, "code"), ({"code": "12345"}, "code"), ({"code": "\uff11\uff12\uff13\uff14\uff15\uff16"}, "code"),
        ({"can_withdraw": "", "networks": "", "lifetime": "never"}, "networks"), ({"pem": "no key"}, "pem"),
        ({"label": "taken"}, "label"),
    ):  # fmt: skip
        changes = {"code": unused, **changes}
        response = csrf_post(alice_client, PAGE, PAGE, {**fields, **changes})
        assert (response.status_code, response.context["form"].errors.keys()) == (422, {field}), changes
    account_id = main_account(user_id=alice.pk).pk
    for number in range(API_KEYS_PER_ACCOUNT_MAX - 1):
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label=str(number), can_read=True))
    refused = csrf_post(alice_client, PAGE, PAGE, {**fields, "code": unused})
    assert "An account can have" in str(refused.context["form"].errors["__all__"])
    ApiKey.objects.update(revoked_at=timezone.now())
    assert not ApiKey.objects.filter(can_withdraw=True).exists()
    case = called_lost(alice)
    # No refusal has used up the code that came with it.
    made = csrf_post(alice_client, PAGE, PAGE, {**fields, "code": unused})
    assert made.status_code == 200
    case.refresh_from_db()
    assert case.state == "withdrawn", "the app was shown"
    key = ApiKey.objects.get(can_withdraw=True)
    ApiKey.objects.update(last_used_at=timezone.now(), last_used_address="203.0.113.7")
    page = alice_client.get(PAGE).content.decode()
    for text in ("withdraw</span>", f"{key.expires_at:%Y-%m-%d %H:%M}", "from 203.0.113.7", "in use"):
        assert text in page, text
    twice = csrf_post(alice_client, PAGE, PAGE, {"label": "bot", "can_read": "on"})
    assert twice.context["form"].errors.keys() == {"label"}
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


@pytest.mark.django_db
def test_without_an_app_the_page_takes_no_code(alice_client: Client, csrf_post: Post) -> None:
    fields = {"label": "bot", "can_withdraw": "on", "networks": HERE[0], "code": "123456", "password": PASSWORD}
    response = csrf_post(alice_client, PAGE, PAGE, fields)
    assert response.context["form"].errors.keys() == {"can_withdraw"}
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_a_passkey_is_shown_for_the_very_key(alice: User) -> None:
    passkey, client = with_passkey(alice), browser()
    client.force_login(alice)
    client.get("/account/confirm-it-is-you")
    of_confirming = passkey.shown(asked(client, "confirm"))
    send(client, "/account/confirm-it-is-you", passkey=passkey.shown(asked(client, "confirm")))
    fields = {"label": "bot", "can_withdraw": "on", "networks": HERE[0]}
    assert "with a passkey" in client.get(PAGE).content.decode()
    for answer, field in (("", "can_withdraw"), (of_confirming, "__all__"), ("{}", "__all__")):
        sent = send(client, PAGE, **fields, passkey=answer)
        assert (sent.status_code, sent.context["form"].errors.keys()) == (422, {field}), answer
    assert not ApiKey.objects.exists()
    case = called_lost(alice)
    assert send(client, PAGE, **fields, passkey=passkey.shown(asked(client, "withdraw-key"))).status_code == 200
    assert ApiKey.objects.get().can_withdraw
    case.refresh_from_db()
    assert case.state == "withdrawn", "the passkey was shown"


@pytest.mark.django_db
def test_a_public_key_on_the_page(alice: User, alice_client: Client, csrf_post: Post) -> None:
    pem = pem_of_a_key()
    response = csrf_post(
        alice_client, PAGE, PAGE, {"label": "bot", "can_read": "on", "pem": pem, "lifetime": "30", "password": PASSWORD}
    )
    key = ApiKey.objects.get()
    page = response.content.decode()
    assert key.kind == ApiKey.Kind.ED25519
    assert key.public_key in page
    assert "new-secret" not in page
