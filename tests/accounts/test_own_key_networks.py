"""Owners name other addresses that a key works from: by the proof that its rights need, and never everywhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.selectors import main_account
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.audit.models import Record
from apps.notifications.models import Notice, OutgoingEmail
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.mailbox import lock_link_to, newest
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
HERE = ["203.0.113.7"]

Post = Callable[..., Any]


def key_of(user: User, account_id: int = 0, **terms: Any) -> ApiKey:
    wanted = KeyTerms(**{"label": "my <bot>", "can_read": True, **terms})
    return issue_hmac_key(account_id=account_id or main_account(user_id=user.pk).pk, terms=wanted).key


def page_of(key: ApiKey) -> str:
    return f"/account/api-keys/{key.pk}/networks"


def test_a_key_that_worked_from_everywhere(alice: User, alice_client: Client, csrf_post: Post) -> None:
    key = key_of(alice)
    page = page_of(key)
    assert f'href="{page}"' in alice_client.get("/account/api-keys").content.decode()
    for changes, field in (
        ({"networks": ""}, "networks"), ({"networks": ","}, "networks"), ({"networks": "nowhere"}, "networks"),
        ({"networks": "0.0.0.0/0"}, "networks"), ({"password": "not it"}, "password"),
    ):  # fmt: skip
        answer = csrf_post(alice_client, page, page, {"networks": HERE[0], "password": PASSWORD, **changes})
        assert (answer.status_code, answer.context["form"].errors.keys()) == (422, {field}), changes
    key.refresh_from_db()
    assert (key.allowed_networks, OutgoingEmail.objects.count()) == ([], 0)
    assert not Record.objects.filter(action="api-key.limited").exists()
    typed = "203.0.113.7, 2001:DB8::/32"
    done = csrf_post(alice_client, page, page, {"networks": typed, "password": PASSWORD})
    assert done["Location"] == "/account/api-keys"
    key.refresh_from_db()
    assert key.allowed_networks == ["203.0.113.7", "2001:db8::/32"]
    assert "203.0.113.7 2001:db8::/32" in alice_client.get(page).content.decode(), "what it has is what is edited"
    entry = Record.objects.get(action="api-key.limited")
    assert (entry.actor_kind, entry.actor_id, entry.object) == ("user", str(alice.pk), f"api-key:{key.pk}")
    assert "203.0.113" not in f"{entry.before} {entry.after} {entry.reason}"
    mail = newest(alice.email, "key_limited")
    assert "“my <bot>”" in mail.text
    assert "from: 203.0.113.7, 2001:db8::/32" in mail.text
    assert "my &lt;bot&gt;" in mail.html
    assert lock_link_to(alice.email, "key_limited")
    assert Notice.objects.get(user=alice).link == "/account/api-keys"


def test_one_that_trades_for_a_sub_account_takes_a_step_up(alice: User, alice_client: Client, csrf_post: Post) -> None:
    with_app(alice)
    desk = create_sub_account(user_id=alice.pk, label="Desk")
    key = key_of(alice, desk.pk, can_trade=True)
    page = page_of(key)
    asked = csrf_post(alice_client, "/account/", page, {"networks": HERE[0], "password": PASSWORD})
    assert asked["Location"].startswith("/account/confirm-it-is-you?next=")
    key.refresh_from_db()
    assert key.allowed_networks == []
    confirm_now(alice_client)
    done = csrf_post(alice_client, page, page, {"networks": HERE[0]})
    assert done["Location"] == f"/account/sub-accounts/{desk.pk}/api-keys"
    key.refresh_from_db()
    assert key.allowed_networks == HERE


def test_one_that_trades_is_narrowed_without_a_second_factor_and_not_widened(
    alice: User, alice_client: Client, csrf_post: Post
) -> None:
    """As its owner has none, such as with a demo account: making such a key takes one, and so does widening it."""
    key = key_of(alice, can_trade=True)
    page = page_of(key)
    assert alice_client.get(page).status_code == 200

    def ask(networks: str, **fields: str) -> Any:
        return csrf_post(alice_client, page, page, {"networks": networks, "password": PASSWORD, **fields})

    assert ask("203.0.113.0/24", password="not it").context["form"].errors.keys() == {"password"}
    for narrower in ("203.0.113.0/24 2001:db8::/32", "203.0.113.0/25 203.0.113.200", "203.0.113.7"):
        assert ask(narrower)["Location"] == "/account/api-keys", narrower
        key.refresh_from_db()
        assert " ".join(key.allowed_networks) == narrower
    for wider in ("203.0.113.7 198.51.100.1", "203.0.113.6/31", "2001:db8::1", "203.0.113.8"):
        refused = ask(wider)
        assert "This needs two-factor log-in." in str(refused.context["form"].errors), wider
        assert refused.status_code == 422
        key.refresh_from_db()
        assert key.allowed_networks == HERE
    assert Record.objects.filter(action="api-key.limited").count() == 3


def test_one_that_withdraws_takes_a_code_that_no_refusal_uses_up(
    alice: User, alice_client: Client, csrf_post: Post
) -> None:
    secret, _ = with_app(alice)
    confirm_now(alice_client)
    key = key_of(alice, can_withdraw=True, networks=HERE, expires_at=timezone.now() + timedelta(days=30))
    page, code = page_of(key), fresh_code(secret)
    there = {"networks": "198.51.100.0/24"}
    for changes, field in (
        ({}, "code"),
        ({"code": "12345"}, "code"),
        ({"networks": "nowhere", "code": code}, "networks"),
    ):
        answer = csrf_post(alice_client, page, page, {**there, **changes})
        assert (answer.status_code, answer.context["form"].errors.keys()) == (422, {field}), changes
    key.refresh_from_db()
    assert key.allowed_networks == HERE
    assert csrf_post(alice_client, page, page, {**there, "code": code}).status_code == 302
    key.refresh_from_db()
    assert key.allowed_networks == ["198.51.100.0/24"]
    again = csrf_post(alice_client, page, page, {"networks": HERE[0], "code": code})
    assert again.context["form"].errors.keys() == {"code"}, "each change takes its own"


def test_no_key_but_ones_own_in_use(alice: User, alice_client: Client, make_user: Callable[..., User]) -> None:
    foreign, over = key_of(make_user("bob@example.org")), key_of(alice)
    ApiKey.objects.filter(pk=over.pk).update(revoked_at=timezone.now())
    for key_id in (foreign.pk, over.pk, foreign.pk + 1000):
        assert alice_client.get(f"/account/api-keys/{key_id}/networks").status_code == 404
