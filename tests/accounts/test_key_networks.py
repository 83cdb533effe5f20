"""Limiting a key to networks: what is taken, what the database holds, and that followers hear of it."""

from collections.abc import Callable

import pytest
from django.contrib.admin.sites import site
from django.db import connection

from apps.accounts.admin import ApiKeyAdmin
from apps.accounts.credentials import API_KEY_SQL, CREDENTIAL_CHANGES_SQL
from apps.accounts.errors import ApiKeyNotFound, InvalidNetwork
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import API_KEY_NETWORKS_MAX
from apps.accounts.rules import normalise_network
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import create_api_key, limit_api_key, revoke_api_key


@pytest.fixture
def key(alice: User) -> ApiKey:
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    return create_api_key(account_id=account_id, label="bot", can_read=True, can_trade=True).key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 203.0.113.7 ", "203.0.113.7"), ("203.0.113.7/32", "203.0.113.7"), ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8:0:0::1", "2001:db8::1"), ("2001:db8::/32", "2001:db8::/32"),
    ],
)  # fmt: skip
def test_one_spelling(text: str, expected: str) -> None:
    assert normalise_network(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "host.example", "203.0.113.7/24", "203.0.113.0/33", "203.0.113", "::ffff:203.0.113.7", "0.0.0.0/0", "::/0",
     "1" * 5000, "fe80::1%eth0", "203.0.113.7,203.0.113.8", "\u0661.1.1.1"],
)  # fmt: skip
def test_what_is_no_network_changes_nothing(key: ApiKey, text: str) -> None:
    with pytest.raises(InvalidNetwork):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7", text])
    key.refresh_from_db()
    assert key.allowed_networks == []


def test_a_limit_is_news_for_followers(key: ApiKey) -> None:
    version = key.version
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7", "2001:db8::/32", "203.0.113.7/32"])
    key.refresh_from_db()
    assert key.allowed_networks == ["203.0.113.7", "2001:db8::/32"]
    assert key.version > version
    with connection.cursor() as cursor:
        cursor.execute(CREDENTIAL_CHANGES_SQL, (version, version))
        [change] = cursor.fetchall()
        cursor.execute(API_KEY_SQL, (key.public_key,))
        [row] = cursor.fetchall()
    assert (change[1], change[10], row[12]) == (key.pk, key.allowed_networks, key.allowed_networks)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=[])
    key.refresh_from_db()
    assert key.allowed_networks == []


def test_whose_key_and_how_many(key: ApiKey, make_user: Callable[..., User]) -> None:
    other = main_account_id(user_id=make_user("bob@example.org").pk)
    assert other is not None
    many = [f"203.0.113.{number}" for number in range(API_KEY_NETWORKS_MAX + 1)]
    with pytest.raises(InvalidNetwork, match="30"):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=many)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=many[:-1])
    for account_id, key_id in ((other, key.pk), (key.account_id, key.pk + 1000)):
        with pytest.raises(ApiKeyNotFound):
            limit_api_key(account_id=account_id, key_id=key_id, networks=[])
    revoke_api_key(account_id=key.account_id, key_id=key.pk)
    with pytest.raises(ApiKeyNotFound):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=[])
    key.refresh_from_db()
    assert len(key.allowed_networks) == API_KEY_NETWORKS_MAX


def test_staff_sees_from_where_it_works(key: ApiKey) -> None:
    admin = ApiKeyAdmin(ApiKey, site)
    assert admin.networks(key) == "everywhere"
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7", "203.0.114.0/24"])
    key.refresh_from_db()
    assert admin.networks(key) == "203.0.113.7, 203.0.114.0/24"
    assert "networks" in (*admin.fields, *admin.list_display)  # type: ignore[misc]
