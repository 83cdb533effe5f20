"""Limiting a key to networks: what is taken, what the database holds, and that followers hear of it."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.admin.sites import site
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.addresses import normalise_network
from apps.accounts.admin import ApiKeyAdmin
from apps.accounts.credentials import API_KEY_SQL, CREDENTIAL_CHANGES_SQL
from apps.accounts.errors import ApiKeyNotFound, InvalidNetwork
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import API_KEY_NETWORKS_MAX
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import limit_api_key, revoke_api_key
from apps.accounts.services.keyissue import issue_hmac_key
from apps.audit.actors import ActorKind
from apps.audit.models import Record
from apps.outbox.errors import ReasonMissing

BY = {"reason": "tests", "requested_by": "tests"}


@pytest.fixture
def key(alice: User) -> ApiKey:
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    return issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True)).key


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
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7", text], **BY)
    key.refresh_from_db()
    assert key.allowed_networks == []


def test_a_limit_is_news_for_followers(key: ApiKey) -> None:
    version = key.version
    networks = ["203.0.113.7", "2001:db8::/32", "203.0.113.7/32"]
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=networks, **BY)
    key.refresh_from_db()
    assert key.allowed_networks == ["203.0.113.7", "2001:db8::/32"]
    assert key.version > version
    with connection.cursor() as cursor:
        cursor.execute(CREDENTIAL_CHANGES_SQL, (version, version))
        [change] = cursor.fetchall()
        cursor.execute(API_KEY_SQL, (key.public_key,))
        [row] = cursor.fetchall()
    assert (change[1], change[10], row[12]) == (key.pk, key.allowed_networks, key.allowed_networks)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=[], **BY)
    key.refresh_from_db()
    assert key.allowed_networks == []


def test_whose_key_and_how_many(key: ApiKey, make_user: Callable[..., User]) -> None:
    other = main_account_id(user_id=make_user("bob@example.org").pk)
    assert other is not None
    many = [f"203.0.113.{number}" for number in range(API_KEY_NETWORKS_MAX + 1)]
    with pytest.raises(InvalidNetwork, match="30"):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=many, **BY)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=many[:-1], **BY)
    for account_id, key_id in ((other, key.pk), (key.account_id, key.pk + 1000)):
        with pytest.raises(ApiKeyNotFound):
            limit_api_key(account_id=account_id, key_id=key_id, networks=[], **BY)
    revoke_api_key(account_id=key.account_id, key_id=key.pk)
    with pytest.raises(ApiKeyNotFound):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=[], **BY)
    key.refresh_from_db()
    assert len(key.allowed_networks) == API_KEY_NETWORKS_MAX


def test_staff_sees_from_where_it_works(key: ApiKey) -> None:
    admin = ApiKeyAdmin(ApiKey, site)
    assert admin.networks(key) == "everywhere"
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7", "203.0.114.0/24"], **BY)
    key.refresh_from_db()
    assert admin.networks(key) == "203.0.113.7, 203.0.114.0/24"
    assert "networks" in (*admin.fields, *admin.list_display)  # type: ignore[misc]


def recorded() -> list[tuple[str, str, str]]:
    """(what holds since, reason, kind of who asked) as the audit log has it, oldest first."""
    of_limits = Record.objects.filter(action="api-key.limited").order_by("pk")
    return list(of_limits.values_list("after", "reason", "actor_kind"))


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("limit_api_key", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_limits_shows_and_takes_away(key: ApiKey) -> None:
    of_key = f"bot of account {key.account_id} works from: "
    assert command(key.public_key) == f"{of_key}everywhere"
    assert recorded() == []
    limited = command(key.public_key, "203.0.113.7", "2001:DB8::/32", "--reason", "office only")
    assert limited == f"{of_key}203.0.113.7, 2001:db8::/32" == command(key.public_key)
    assert command(key.public_key, "--everywhere", "--reason", "the office moves") == f"{of_key}everywhere"
    changes = recorded()
    assert [row[:2] for row in changes] == [('{"networks":2}', "office only"), ('{"networks":0}', "the office moves")]
    assert {row[2] for row in changes} == {ActorKind.OPERATOR}
    revoke_api_key(account_id=key.account_id, key_id=key.pk)
    assert command(key.public_key) == f"{of_key}revoked: nowhere"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["203.0.113.7"], "reason of 1 to"), (["203.0.113.7", "--reason", " "], "reason of 1 to"),
        (["203.0.113.7", "--reason", "x" * 201], "reason of 1 to"),
        (["203.0.113.7/24", "--reason", "x"], "is not an IP address"),
        (["203.0.113.7", "--everywhere", "--reason", "x"], "exclude one another"),
    ],
)  # fmt: skip
def test_a_refused_command_changes_nothing(key: ApiKey, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        command(key.public_key, *arguments)
    assert "Nothing was changed." in str(refused.value)
    key.refresh_from_db()
    assert (key.allowed_networks, recorded()) == ([], [])


def test_the_command_names_an_unknown_and_a_revoked_key(key: ApiKey) -> None:
    with pytest.raises(CommandError, match="no such API key"):
        command("A" * 64, "203.0.113.7", "--reason", "x")
    revoke_api_key(account_id=key.account_id, key_id=key.pk)
    with pytest.raises(CommandError, match="no such API key"):
        command(key.public_key, "203.0.113.7", "--reason", "x")
    assert recorded() == []


def test_a_key_can_be_made_with_its_networks(key: ApiKey) -> None:
    made = issue_hmac_key(
        account_id=key.account_id,
        terms=KeyTerms(label="office", can_read=True, can_trade=False, networks=["203.0.113.7/32"]),
    ).key
    assert made.allowed_networks == ["203.0.113.7"]
    created = Record.objects.get(action="api-key.created", object=f"api-key:{made.pk}")
    assert json.loads(created.after or "")["networks"] == 1
    with pytest.raises(InvalidNetwork):
        issue_hmac_key(
            account_id=key.account_id, terms=KeyTerms(label="x", can_read=True, can_trade=False, networks=["nowhere"])
        )
    assert ApiKey.objects.count() == 2


def test_no_reason_no_change(key: ApiKey) -> None:
    with pytest.raises(ReasonMissing):
        limit_api_key(account_id=key.account_id, key_id=key.pk, networks=["203.0.113.7"], reason="", requested_by="me")
    key.refresh_from_db()
    assert (key.allowed_networks, recorded()) == ([], [])
