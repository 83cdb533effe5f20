"""Who is asked to confirm to be there finds what was typed again, and nothing was done without another press."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.accounts import begun
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import STEP_UP_S, TYPED_LENGTH_MAX
from apps.accounts.selectors import main_account_id, passkeys_of
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account
from tests.accounts.factors import with_app
from tests.accounts.mailbox import submit
from tests.accounts.passkeys import HOST, with_passkey
from tests.codes import fresh_code

CONFIRM, EMAIL, KEYS, PASSKEYS = (
    f"/account/{page}" for page in ("confirm-it-is-you", "email", "api-keys", "passkeys")
)  # fmt: skip
KEY = {"label": "grid bot", "can_trade": "on", "lifetime": "30", "networks": "203.0.113.7", "pem": ""}


@pytest.fixture
def secret(alice: User) -> str:
    """Of the app that alice has from now on."""
    return with_app(alice)[0]


def confirmed(client: Client, asked: Any, secret: str) -> Any:
    """The page that the proof leads back to, after the redirect `asked` to the page that takes it."""
    assert asked["Location"].startswith(f"{CONFIRM}?next="), asked["Location"]
    page = client.get(asked["Location"])
    assert "Nothing was done yet. Confirm first that it is you." in page.content.decode()
    sent = submit(client, asked["Location"], code=fresh_code(secret))
    return client.get(sent["Location"])


@pytest.mark.parametrize(
    ("page", "typed", "secrets"),
    [
        (EMAIL, {"email": "alice.new@example.org"}, {"password": "hunter2 hunter2"}),
        ("/account/mail-phrase", {"phrase": "green tea at noon"}, {"password": "hunter2 hunter2"}),
        (KEYS, KEY, {"code": "987651", "passkey": "an answer", "password": "hunter2 hunter2"}),
        ("/account/passkeys/add", {"name": "grey phone"}, {"passkey": "an answer"}),
        ("{networks}", {"networks": "203.0.113.7 2001:db8::/32"}, {"code": "987651"}),
    ],
)
def test_the_form_has_what_was_typed(
    alice: User, alice_client: Client, secret: str, page: str, typed: dict[str, str], secrets: dict[str, str]
) -> None:
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    key = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="old", can_read=True)).key
    page = page.format(networks=f"{KEYS}/{key.pk}/networks")
    alice_client.defaults["HTTP_HOST"] = HOST
    asked = submit(alice_client, page, page="/account/", **typed, **secrets)
    shown = confirmed(alice_client, asked, secret)
    assert shown.request["PATH_INFO"] == page
    form = shown.context["form"]
    assert {name: form[name].value() for name in typed} == typed
    assert not any(text in shown.content.decode() for text in secrets.values())
    assert not any(text in str(dict(alice_client.session)) for text in secrets.values())
    assert not form.is_bound, "nothing is called wrong that was not pressed"
    told = [str(message) for message in shown.context["messages"]]
    (said,) = [text for text in told if text.startswith("Confirmed for 15 minutes. Nothing was done yet, and what you")]
    button = said.partition("press “")[2].partition("”")[0]
    assert f">{button}</button>" in shown.content.decode()
    assert ApiKey.objects.count() == 1
    alice.refresh_from_db()
    assert (alice.email, alice.mail_phrase) == ("alice@example.org", "")
    again = alice_client.get(page).context["form"]
    assert {name: again[name].value() for name in typed} != typed, "once; who comes back later begins anew"


def test_a_box_that_was_cleared_stays_clear(alice_client: Client, secret: str) -> None:
    asked = submit(alice_client, KEYS, page="/account/", **KEY)
    form = confirmed(alice_client, asked, secret).context["form"]
    assert [form[name].value() for name in ("can_read", "can_withdraw")] == ["", ""]
    assert "checked" not in str(form["can_read"])
    assert "checked" in str(form["can_trade"])


@pytest.mark.parametrize(
    ("page", "action"),
    [
        ("/account/two-factor", "/account/two-factor/begin"),
        ("/account/two-factor", "/account/two-factor/remove"),
        ("/account/two-factor", "/account/two-factor/recovery-codes"),
        (PASSKEYS, f"{PASSKEYS}/{{passkey}}/remove"),
        ("/account/own-data", "/account/own-data"),
        ("/account/password", "/account/password"),
        ("/account/sub-accounts/{sub}", "/account/sub-accounts/{sub}/unfreeze"),
    ],
)
def test_where_nothing_was_typed_it_says_what_to_press(
    alice: User, alice_client: Client, secret: str, page: str, action: str
) -> None:
    with_passkey(alice)
    (passkey,) = passkeys_of(user_id=alice.pk)
    sub = create_sub_account(user_id=alice.pk, label="desk")
    freeze_sub_account(user_id=alice.pk, account_id=sub.pk)
    names = {"sub": sub.pk, "passkey": passkey.pk}
    asked = submit(alice_client, action.format(**names), page="/account/", current="hunter2", new="another hunter2")
    shown = confirmed(alice_client, asked, secret)
    assert shown.request["PATH_INFO"] == page.format(**names)
    (said,) = [str(each) for each in shown.context["messages"] if "Confirmed" in str(each)]
    assert said.startswith("Confirmed for 15 minutes. Nothing was done yet: press “")
    buttons = said.partition("“")[2].rstrip("”.").split("” or “")
    assert any(f">{button}</button>" in shown.content.decode() for button in buttons), said
    assert "hunter2" not in str(dict(alice_client.session))


def test_late_or_elsewhere_nothing_comes_back(
    alice_client: Client, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(alice_client, EMAIL, page="/account/", email="new@example.org")
    sent = submit(alice_client, CONFIRM, code=fresh_code(secret), next="/account/")
    assert "Confirmed for 15 minutes.</" in alice_client.get(sent["Location"]).content.decode()
    assert alice_client.get("/account/mail-phrase").context["form"]["phrase"].value() == ""
    now = time.time()
    monkeypatch.setattr(begun, "time", SimpleNamespace(time=lambda: now + STEP_UP_S + 1))
    assert alice_client.get(EMAIL).context["form"]["email"].value() is None


def test_a_session_does_not_grow_by_what_is_sent(alice_client: Client, secret: str) -> None:
    submit(alice_client, KEYS, page="/account/", **KEY | {"pem": "x" * (TYPED_LENGTH_MAX + 1)}, other="y" * 9_000)
    assert len(str(dict(alice_client.session))) < TYPED_LENGTH_MAX
