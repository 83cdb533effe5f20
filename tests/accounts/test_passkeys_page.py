"""/account/passkeys: adding, naming and removing passkeys (requirement A2)."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django_otp_webauthn.models import WebAuthnCredential

from apps.accounts.errors import FactorNeeded
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import OpenSession, RecoveryCode, User
from apps.accounts.policy import PASSKEY_NAME_LENGTH_MAX, PASSKEYS_PER_USER_MAX
from apps.accounts.selectors import factors_of, held_until, main_account_id
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.passkeys import remove_passkey
from apps.audit.models import Record
from tests.accounts.authenticator import PRESENT, Passkey
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.mailbox import newest
from tests.accounts.passkeys import asked, browser, log_in, send, with_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
PAGE, ADD, CONFIRM = "/account/passkeys", "/account/passkeys/add", "/account/confirm-it-is-you"
APP = "/account/two-factor/app"


@pytest.fixture
def client(alice: User) -> Client:
    """alice's, at the address of passkeys; her password was shown just now."""
    found = browser()
    found.force_login(alice)
    found.get(CONFIRM)
    assert send(found, CONFIRM, password=PASSWORD, next=ADD)["Location"] == ADD
    return found


def add(client: Client, passkey: Passkey, name: str = "phone", **wrong: Any) -> Any:
    client.get(ADD)
    return send(client, ADD, name=name, passkey=passkey.made(asked(client, "add"), **wrong))


def told() -> list[str]:
    return [row.action for row in Record.objects.order_by("pk") if row.action.startswith(("user.f", "user.p"))]


def test_from_nothing_to_a_passkey_and_recovery_codes(alice: User, client: Client) -> None:
    assert "You have no passkey yet" in client.get(PAGE).content.decode()
    client.get(ADD)
    options = asked(client, "add")
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert (options["rp"], options["attestation"]) == ({"name": "Nebannpet", "id": "localhost"}, "none")
    assert {each["alg"] for each in options["pubKeyCredParams"]} == {-8, -7, -257}
    passkey = Passkey()
    shown = send(client, ADD, name="  my phone ", passkey=passkey.made(options)).content.decode()
    assert len(set(re.findall(r"<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){5})</li>", shown))) == 10
    assert "my phone" in client.get(PAGE).content.decode()
    assert "1 in use" in client.get("/account/two-factor").content.decode()
    assert held_until(user=User.objects.get()) is None, "the first factor takes nothing from anybody"
    assert told() == ["user.factor-added"]
    assert "It has a new passkey" in newest(alice.email).text
    assert log_in(browser(), passkey).status_code == 302
    client.get(ADD)
    assert [len(each["id"]) for each in asked(client, "add")["excludeCredentials"]] == [22], "not twice on one device"
    assert add(client, Passkey(), "key").status_code == 302
    assert WebAuthnCredential.objects.count() == 2
    assert RecoveryCode.objects.count() == 10


# What is wrong with a new passkey.
WRONG: dict[str, dict[str, Any]] = {
    "wrong origin": {"origin": "https://evil.example"},
    "wrong relying party": {"rp_id": "evil.example"},
    "not verified": {"flags": PRESENT},
    "shown, not made": {"type": "webauthn.get"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_new_passkey_with_one_thing_wrong_is_not_added(client: Client, wrong: dict[str, Any]) -> None:
    sent = add(client, Passkey(), **wrong)
    assert sent.status_code == 422
    assert "a passkey that cannot be used here" in sent.content.decode()
    assert (WebAuthnCredential.objects.count(), told()) == (0, [])


def test_other_refusals_of_a_new_passkey(alice: User, client: Client) -> None:
    client.get(ADD)
    passkey = Passkey()
    answer = passkey.made(asked(client, "add"))
    for name, why in (
        ("", "This field is required"),
        ("x" * (PASSKEY_NAME_LENGTH_MAX + 1), "at most 40"),
        (" \u202e ", "A passkey has a name"),
    ):
        sent = send(client, ADD, name=name, passkey=answer)
        assert (sent.status_code, why in sent.content.decode()) == (422, True), name
        answer = passkey.made(asked(client, "add"))
    for text, why in (("", "No passkey was shown"), ("{}", "no answer of a passkey that we can read")):
        sent = send(client, ADD, name="phone", passkey=text)
        assert (sent.status_code, why in sent.content.decode()) == (422, True), text
    assert not WebAuthnCredential.objects.exists()
    assert send(client, ADD, name="phone", passkey=answer).status_code == 200
    assert "answered already" in send(client, ADD, name="phone", passkey=answer).content.decode()
    assert "in use already" in add(client, passkey).content.decode(), "the same one again"
    made = passkey.made(asked(client, "add"))
    assert "answered already" in send(client, CONFIRM, passkey=made).content.decode(), "made, where one is to be shown"
    row = WebAuthnCredential.objects.get()
    WebAuthnCredential.objects.bulk_create(
        WebAuthnCredential(user=alice, credential_id=b"x", public_key=b"x", credential_id_sha256=str(number))
        for number in range(PASSKEYS_PER_USER_MAX - 1)
    )
    assert "the most there can be" in asked(client, "add", status=409)
    WebAuthnCredential.objects.exclude(pk=row.pk).delete()
    session = client.session
    session["step_up"]["at_s"] -= 15 * 60
    session.save()
    assert asked(client, "add", status=403).startswith("Confirm first that it is you")
    assert send(client, f"{PAGE}/options", purpose="tea").status_code == 400
    assert client.get(ADD)["Location"].startswith(CONFIRM)


def test_names(alice: User, client: Client) -> None:
    add(client, Passkey())
    row = WebAuthnCredential.objects.get()
    client.get(PAGE)
    assert send(client, f"{PAGE}/{row.pk}/rename", name="desk").status_code == 302
    assert send(client, f"{PAGE}/{row.pk}/rename", name="x" * 41).status_code == 302
    assert "It keeps its name. A passkey has a name of 1 to 40" in client.get(PAGE).content.decode()
    assert (WebAuthnCredential.objects.get().name, told()) == ("desk", ["user.factor-added", "user.passkey-renamed"])
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    with_passkey(bob, "bob's")
    foreign = WebAuthnCredential.objects.get(user=bob)
    for action in ("rename", "remove"):
        sent = send(client, f"{PAGE}/{foreign.pk}/{action}", name="mine")
        assert (sent.status_code, "You have no such passkey" in sent.content.decode()) == (404, True)
    assert WebAuthnCredential.objects.get(user=bob).name == "bob's"


def test_removing_one_holds_withdrawals_and_the_last_takes_the_recovery_codes(alice: User, client: Client) -> None:
    first, second = Passkey(), Passkey()
    add(client, first)
    add(client, second, "key")
    assert "holds withdrawals for 24 hours" in client.get(PAGE).content.decode()
    rows = list(WebAuthnCredential.objects.order_by("pk"))
    assert send(client, f"{PAGE}/{rows[0].pk}/remove")["Location"] == PAGE
    assert held_until(user=User.objects.get()) is not None
    assert "A passkey was removed, and logs in no more" in newest(alice.email).text
    assert log_in(browser(), first).status_code == 422
    assert log_in(browser(), second).status_code == 302
    assert RecoveryCode.objects.count() == 10
    last = f"{PAGE}/{rows[1].pk}/remove"
    assert send(client, last)["Location"].startswith(CONFIRM), "what a passkey confirmed ended with it"
    assert send(client, CONFIRM, passkey=second.shown(asked(client, "confirm")), next=PAGE)["Location"] == PAGE
    assert send(client, last)["Location"] == PAGE
    assert "the password alone logs in" in newest(alice.email).text
    assert (RecoveryCode.objects.count(), factors_of(user_id=alice.pk)) == (0, frozenset())
    assert told()[-2:] == ["user.factor-removed", "user.factor-removed"]


def test_every_change_of_a_factor_ends_all_other_sessions(alice: User, client: Client) -> None:
    """threat-T5. The changes follow one another: each is confirmed by the factor of the one before."""
    _opened(alice, client)

    def ends_others(change: Callable[[], Any]) -> None:
        other = _opened(alice, browser())
        assert other.get(PAGE).status_code == 200
        change()
        assert other.get(PAGE).status_code == 302
        assert client.get(PAGE).status_code == 200
        assert "All other sessions of it were ended." in newest(alice.email).text

    def new_app() -> None:
        send(client, "/account/two-factor/begin")
        secret = re.search(r'id="totp-secret">([A-Z2-7]{32})<', client.get(APP).content.decode())
        assert secret is not None
        send(client, APP, code=fresh_code(secret.group(1)))

    ends_others(lambda: add(client, Passkey()))
    ends_others(new_app)
    ends_others(new_app)
    ends_others(lambda: send(client, f"{PAGE}/{WebAuthnCredential.objects.get().pk}/remove"))
    ends_others(lambda: send(client, "/account/two-factor/remove"))
    assert not factors_of(user_id=alice.pk)


def _opened(user: User, client: Client) -> Client:
    """Logged in as by open_session, whatever second factor there is."""
    client.force_login(user)
    key = client.session.session_key
    assert key is not None
    OpenSession.objects.create(session_id=key, user=user, browser="Firefox", address="203.0.113.7")
    return client


def test_removing_takes_a_passkey_or_a_code_not_the_password(alice: User, client: Client) -> None:
    with_passkey(alice)
    pk = WebAuthnCredential.objects.get().pk
    assert send(client, f"{PAGE}/{pk}/remove")["Location"].startswith(CONFIRM)
    assert WebAuthnCredential.objects.exists()


def test_what_needs_a_second_factor_keeps_the_last_one(alice: User, settings: Any) -> None:
    with_passkey(alice)
    with_app(alice)
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True))
    remove_totp(user_id=alice.pk)
    assert RecoveryCode.objects.count() == 10, "the passkey remains"
    assert "its passkeys remain" in newest(alice.email).text
    pk = WebAuthnCredential.objects.get().pk
    with pytest.raises(FactorNeeded, match="can trade"):
        remove_passkey(user_id=alice.pk, passkey_id=pk)
    User.objects.update(is_staff=True)
    with pytest.raises(FactorNeeded, match="Staff must have a second factor"):
        remove_passkey(user_id=alice.pk, passkey_id=pk)
    settings.STAFF_NEED_PASSKEY = True
    with_app(alice)
    with pytest.raises(FactorNeeded, match="Staff must have a passkey"):
        remove_passkey(user_id=alice.pk, passkey_id=pk)
    assert factors_of(user_id=alice.pk) == {"authenticator", "passkey"}


def test_the_page_leads_to_the_address_that_passkeys_work_at(alice: User) -> None:
    client = Client(headers={"host": "127.0.0.1:8000"})
    for path in ("/login/passkey?next=/trade", PAGE, ADD):
        page = client.get(path).content.decode()
        assert f'href="http://localhost:8000{path}"' in page, path
        assert "<form" not in page.partition("<main")[2], path
        client.force_login(alice)
        confirm_now(client)


def test_staff_in_production_show_a_passkey(alice: User, settings: Any) -> None:
    settings.STAFF_NEED_PASSKEY = True
    User.objects.update(is_staff=True)
    with_app(alice)
    client = browser()
    client.force_login(alice)
    confirm_now(client)
    sent = client.get("/admin/", follow=True)
    assert sent.redirect_chain[-1] == ("/account/two-factor", 302)
    assert "Staff need a passkey for this" in sent.content.decode()
    passkey = with_passkey(alice)
    sent = client.get("/admin/", follow=True)
    assert sent.redirect_chain[-1][0] == f"{CONFIRM}?next=%2Fadmin%2F&by=passkey"
    assert "Six digits" not in sent.content.decode()
    sent = send(client, f"{CONFIRM}?by=passkey", passkey=passkey.shown(asked(client, "confirm")), next="/admin/")
    assert sent["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
