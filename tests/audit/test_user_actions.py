"""What users do with what lets them in leaves entries; nothing secret and no address of theirs does."""

import getpass

import pytest
from django.core.management import call_command
from django.test import Client

from apps.accounts.models import User
from apps.accounts.secrets import open_totp
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import limit_api_key
from apps.accounts.services.emailchange import confirm_email_change, request_email_change
from apps.accounts.services.factors import begin_totp, confirm_totp, remove_totp, waiting_totp
from apps.accounts.services.recoverycodes import reissue_codes
from apps.accounts.services.resets import request_reset, reset_password
from apps.accounts.services.signup import sign_up
from apps.accounts.totp import as_base32
from apps.audit.models import Record, Tally
from apps.markets.models import Asset
from tests.accounts.authenticator import text_of
from tests.accounts.factors import confirm_now
from tests.accounts.mailbox import HERE, link_to, signed_up, token_of
from tests.accounts.passkeys import browser, log_in, with_passkey
from tests.codes import fresh_code
from tests.pages.world import logged_in

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
OTHER = "staple correct horse"


def told() -> list[tuple[str, str, str, str]]:
    return list(
        Record.objects.order_by("id").values_list("actor_kind", "actor_id", "action", "object")
    )  # fmt: skip


def test_a_users_day_stands_in_the_log(client: Client) -> None:
    user = signed_up("alice@example.org", PASSWORD)
    name = str(user.pk)
    assert client.post("/account/log-in", {"username": "alice@example.org", "password": OTHER}).status_code != 302
    assert client.post("/account/log-in", {"username": "alice@example.org", "password": PASSWORD}).status_code == 302
    made = client.post("/account/api-keys", {"label": "bot", "can_read": "on", "password": PASSWORD})
    assert made.status_code == 200
    key = user.trading_accounts.get().api_keys.get()
    limit_api_key(
        account_id=key.account_id, key_id=key.pk, networks=["203.0.113.0/24"], reason="office", requested_by="its owner"
    )
    assert client.post(f"/account/api-keys/{key.pk}/revoke").status_code == 302
    assert client.post(f"/account/api-keys/{key.pk}/revoke").status_code == 302  # once more changes nothing
    assert client.post("/account/password", {"current": OTHER, "new": OTHER}).status_code == 422
    assert client.post("/account/password", {"current": PASSWORD, "new": OTHER}).status_code == 302
    assert client.post("/account/log-out").status_code == 302
    key_name = f"api-key:{key.pk}"
    seen = told()
    assert [each for each in seen if each[2] != "api-key.limited"] == [
        ("operator", getpass.getuser(), "user.created", f"user:{name}"),
        ("user", name, "user.log-in", f"user:{name}"),
        ("user", name, "api-key.created", key_name),
        ("user", name, "api-key.revoked", key_name),
        ("user", name, "user.password-changed", f"user:{name}"),
        ("user", name, "user.withdrawals-held", f"user:{name}"),
        ("user", name, "user.log-out", f"user:{name}"),
    ]
    limited = Record.objects.get(action="api-key.limited")
    assert (limited.after, limited.reason) == ('{"networks":1}', "office")
    assert {(row.object, row.count) for row in Tally.objects.all()} <= {("log-in", 1), ("confirmation", 1)}
    assert sum(row.count for row in Tally.objects.all()) == 2
    everything = str(list(Record.objects.values()))
    for secret in (PASSWORD, OTHER, "alice@example.org", key.public_key, "203.0.113"):
        assert secret not in everything


def test_a_reset_and_a_new_address_are_told_without_the_address() -> None:
    user = signed_up("alice@example.org", PASSWORD)
    request_reset(email="alice@example.org", client=HERE)
    reset_password(token=token_of(link_to("alice@example.org")), new_password=OTHER)
    user.refresh_from_db()
    request_email_change(user=user, new_address="new@example.org", client=HERE)
    confirm_email_change(token=token_of(link_to("new@example.org")), user=user, session_key=logged_in(user))
    assert [row[2:] for row in told()] == [
        (action, f"user:{user.pk}")
        for action in (
            "user.created",
            "user.password-changed",
            "user.withdrawals-held",
            "user.log-in",
            "user.email-changed",
            "user.withdrawals-held",
        )
    ]
    assert "example.org" not in str(list(Record.objects.values("object", "before", "after", "reason", "actor_id")))


def test_a_phrase_is_told_without_its_words(client: Client) -> None:
    user = signed_up("alice@example.org", PASSWORD)
    client.force_login(user)
    sent = {"phrase": "purple elephants", "password": PASSWORD}
    assert client.post("/account/mail-phrase", sent).status_code == 302
    assert told()[-1] == ("user", str(user.pk), "user.phrase-changed", f"user:{user.pk}")
    assert "elephants" not in str(list(Record.objects.values()))


def test_what_is_done_with_a_sub_account_is_told_without_its_name(client: Client) -> None:
    user = signed_up("alice@example.org", PASSWORD)
    client.force_login(user)
    assert client.post("/account/sub-accounts", {"label": "purple desk"}).status_code == 302
    number = user.trading_accounts.get(is_main=False).pk
    page = f"/account/sub-accounts/{number}"
    assert client.post(page, {"label": "purple room"}).status_code == 302
    confirm_now(client)
    for act in ("freeze", "freeze", "unfreeze"):
        assert client.post(f"{page}/{act}").status_code == 302
    actions = ("created", "renamed", "frozen", "unfrozen")
    assert [row for row in told() if row[2].startswith("sub-account.")] == [
        ("user", str(user.pk), f"sub-account.{action}", f"account:{number}") for action in actions
    ]
    assert ("user", str(user.pk), "account.family", f"account:{number}") in told()
    assert "purple" not in str(list(Record.objects.values()))


def test_second_factors_are_told_without_their_secrets(client: Client) -> None:
    user = signed_up("alice@example.org", PASSWORD)
    client.force_login(user)
    begin_totp(user_id=user.pk)
    waiting = waiting_totp(user_id=user.pk)
    assert waiting is not None
    secret = as_base32(open_totp(user.pk, waiting.secret_box))
    codes = confirm_totp(user_id=user.pk, code=fresh_code(secret)).codes
    codes = [*codes, *reissue_codes(user_id=user.pk)]
    remove_totp(user_id=user.pk)
    seen = [action for _, _, action, what in told() if what == f"user:{user.pk}"]
    assert seen[-4:] == [
        "user.factor-added", "user.recovery-codes", "user.factor-removed", "user.withdrawals-held",
    ]  # fmt: skip
    everything = str(list(Record.objects.values()))
    assert not any(text in everything for text in (secret, *codes))


def test_a_copied_passkey_is_told_without_saying_which() -> None:
    user = signed_up("alice@example.org", PASSWORD)
    passkey = with_passkey(user, "purple phone")
    assert log_in(browser(), passkey).status_code == 302
    passkey.counter = 0
    assert log_in(browser(), passkey).status_code == 422
    assert told()[-1][2:] == ("user.passkey-counter", f"user:{user.pk}")
    everything = str(list(Record.objects.values()))
    assert "purple" not in everything
    assert text_of(passkey.credential_id) not in everything


def test_links_that_are_asked_for_leave_nothing_so_known_and_unknown_addresses_cost_the_same() -> None:
    sign_up(email="alice@example.org", password=PASSWORD, client=HERE)
    request_reset(email="alice@example.org", client=HERE)
    assert not Record.objects.exists()


def test_a_demo_account_names_who_made_it_and_what_it_got() -> None:
    Asset.objects.create(id=1, code="USDT", name="Tether")
    call_command("demo_account", "trader", "--fund", "USDT=10.5")
    user = User.objects.get()
    made = Record.objects.get(action="demo.account")
    assert made.object == f"account:{main_account_id(user_id=user.pk)}"
    assert made.after == '{"funds":{"USDT":"1050000000"},"staff":false}'
    assert {row.actor_kind for row in Record.objects.all()} == {"operator"}
    assert {"user.created", "api-key.created"} <= {row.action for row in Record.objects.all()}
