"""The staff admin: who may enter, what can be changed, and that no secret is on any page."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, TradingAccount, TradingTicket, User
from apps.accounts.policy import LINKS_PER_MAILBOX_MAX
from apps.accounts.secrets import decrypt_secret
from apps.accounts.selectors import main_account_id
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.resets import request_reset, reset_password
from apps.accounts.services.subaccounts import create_sub_account
from apps.accounts.services.tickets import issue_ticket
from apps.audit.models import Record
from apps.notifications.models import Notice, OutgoingEmail
from tests.accounts.factors import enter_admin
from tests.accounts.mailbox import link_to, lock_link_to, newest, token_of
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
OTHER = "staple correct horse"


@pytest.fixture
def root_client() -> Client:
    client = Client()
    enter_admin(client, User.objects.create_superuser("root@example.org", PASSWORD))
    return client


@pytest.fixture
def key(alice: User) -> ApiKey:
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    return issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True)).key


def test_address_and_rights_of_a_user_cannot_be_typed_over(root_client: Client, alice: User) -> None:
    """A new one would count as proved, and the old one would not be told."""
    path = f"/admin/accounts/user/{alice.pk}/change/"
    assert 'name="email"' not in root_client.get(path).content.decode()
    sent = {"email": "x@example.org", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert root_client.post(path, sent).status_code == 403
    alice.refresh_from_db()
    assert (alice.email, alice.is_staff, alice.is_superuser) == ("alice@example.org", False, False)


def test_switching_a_user_off_revokes_sockets_and_raises_key_versions(
    root_client: Client, alice: User, key: ApiKey, alice_client: Client
) -> None:
    issue_ticket(user_id=alice.pk, session_key=alice_client.cookies["sessionid"].value)
    key.refresh_from_db()
    _act(root_client, "/admin/accounts/user/", "switch_off", alice.pk, reason="stolen")
    alice.refresh_from_db()
    assert not alice.is_active
    assert TradingTicket.objects.get().revoked_at is not None
    assert ApiKey.objects.get().version > key.version
    assert alice_client.get("/account/").status_code == 302


def test_keys_show_no_secret_and_cannot_be_edited_added_or_deleted(root_client: Client, key: ApiKey) -> None:
    secret = decrypt_secret(key.public_key, key.secret_box)
    box = bytes(key.secret_box).hex()
    for path in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{key.pk}/change/"):
        page = root_client.get(path).content.decode()
        assert key.public_key[:10] in page
        assert secret.decode() not in page
        assert box[:20] not in page
    before = ApiKey.objects.values().get()
    assert root_client.post(f"/admin/accounts/apikey/{key.pk}/change/", {"label": "x"}).status_code == 403
    assert root_client.post(f"/admin/accounts/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert root_client.get("/admin/accounts/apikey/add/").status_code == 403
    assert ApiKey.objects.values().get() == before


def test_the_list_says_what_a_key_may_and_until_when(root_client: Client, key: ApiKey) -> None:
    """In one column each, so that at 1440 px all of them are in sight."""
    page = root_client.get("/admin/accounts/apikey/").content.decode()
    assert '<td class="field-rights">read, trade</td>' in page
    assert '<td class="field-state">in use, no end</td>' in page
    shown = admin.site.get_model_admin(ApiKey).state
    now, day = timezone.now(), timedelta(days=1)
    assert shown(ApiKey(expires_at=now + day)) == f"in use until {now + day:%Y-%m-%d}"
    assert shown(ApiKey(expires_at=now - day)) == f"expired {now - day:%Y-%m-%d}"
    assert shown(ApiKey(expires_at=now - day, revoked_at=now - 2 * day)) == f"revoked {now - 2 * day:%Y-%m-%d}"


def _act(client: Client, path: str, action: str, pk: int, **data: str) -> int:
    return client.post(path, {"action": action, "_selected_action": str(pk), **data}).status_code


def test_revoke_action(root_client: Client, key: ApiKey, alice: User) -> None:
    desk = create_sub_account(user_id=alice.pk, label="Desk")
    bob = User.objects.create_user("bob@example.org", None)
    for account in (desk.pk, main_account_id(user_id=bob.pk)):
        assert account is not None
        issue_hmac_key(account_id=account, terms=KeyTerms(label="<other>", can_read=True, can_trade=True))
    chosen = [each.pk for each in ApiKey.objects.all()]
    for _ in range(2):
        sent = {"action": "revoke", "_selected_action": chosen, "reason": "leaked on a web page"}
        assert root_client.post("/admin/accounts/apikey/", sent).status_code == 302
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    # Each owner is told once, of all theirs, and not why.
    assert OutgoingEmail.objects.filter(template="keys_revoked").count() == Notice.objects.count() == 2
    mail, notice = newest(alice.email, "keys_revoked"), Notice.objects.get(user=alice)
    for text in ("“bot”", "“<other>”", "of the sub-account Desk", key.public_key[:6]):
        assert text in mail.text, text
    assert notice.title == "Staff revoked API keys of your account"
    assert notice.body.startswith("For good: “bot”, “<other>” of Desk.")
    assert "sub-account" not in newest(bob.email).text
    assert Notice.objects.get(user=bob).title == "Staff revoked an API key of your account"
    assert lock_link_to(bob.email, "keys_revoked")
    assert not any("leaked" in text for text in (mail.text, mail.html, notice.body))


def test_delete_action_is_not_offered(root_client: Client, key: ApiKey, alice: User) -> None:
    _act(root_client, "/admin/accounts/apikey/", "delete_selected", key.pk)
    _act(root_client, "/admin/accounts/user/", "delete_selected", alice.pk)
    assert ApiKey.objects.exists()
    assert User.objects.filter(pk=alice.pk).exists()


def test_viewer_may_look_but_not_revoke(key: ApiKey, make_user: Callable[..., User]) -> None:
    viewer = make_user("viewer@example.org", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client = Client()
    enter_admin(client, viewer)
    assert client.get("/admin/accounts/apikey/").status_code == 200
    _act(client, "/admin/accounts/apikey/", "revoke", key.pk, reason="x")
    assert not ApiKey.objects.get().is_revoked


def test_of_a_trading_account_the_rate_limits_are_set_and_nothing_else(root_client: Client, alice: User) -> None:
    account = TradingAccount.objects.get(owner=alice)
    path = "/admin/accounts/tradingaccount/"
    assert root_client.post(f"{path}{account.pk}/change/", {"label": "Renamed", "tier": "demo"}).status_code == 403
    _act(root_client, path, "limits_demo", account.pk, reason=" ")
    account.refresh_from_db()
    assert (account.label, account.tier) == ("Main", "standard")
    _act(root_client, path, "limits_demo", account.pk, reason="load test")
    _act(root_client, path, "limits_demo", account.pk, reason="once more")
    account.refresh_from_db()
    assert (account.label, account.tier, account.owner, account.is_main) == ("Main", "demo", alice, True)
    assert Record.objects.get(action="account.limits").reason == "load test"


def test_sessions_show_no_hash_and_can_be_closed(root_client: Client, alice: User, alice_client: Client) -> None:
    issue_ticket(user_id=alice.pk, session_key=alice_client.cookies["sessionid"].value)
    ticket = TradingTicket.objects.get()
    page = root_client.get(f"/admin/accounts/tradingticket/{ticket.pk}/change/").content.decode()
    assert bytes(ticket.ticket_hash).hex()[:20] not in page
    for _ in range(2):
        assert _act(root_client, "/admin/accounts/tradingticket/", "revoke", ticket.pk, reason="stolen phone") == 302
    assert TradingTicket.objects.get().revoked_at is not None
    assert "closed 1 trading session of your account" in newest(alice.email, "trading_closed").text
    assert lock_link_to(alice.email, "trading_closed")
    assert OutgoingEmail.objects.count() == Notice.objects.filter(user=alice, link="/account/devices").count() == 1


def test_staff_begin_a_reset_and_its_owner_ends_it(root_client: Client, alice: User) -> None:
    """ASVS 6.4.6: nobody of staff chooses or sees a password, nor who has it."""
    root_client.post(f"/admin/accounts/user/{alice.pk}/password/", {"password1": OTHER, "password2": OTHER})
    shown = _act(root_client, "/admin/accounts/user/", "send_reset", alice.pk, reason="cannot find the page")
    alice.refresh_from_db()
    assert (shown, alice.check_password(PASSWORD)) == (302, True), "nothing ends before it is followed"
    entry = Record.objects.get(action="user.reset-sent")
    assert (entry.actor_kind, entry.actor_id, entry.reason) == ("staff", "root@example.org", "cannot find the page")
    link = link_to(alice.email)
    assert token_of(link) not in root_client.get("/admin/accounts/user/").content.decode()
    reset_password(token=token_of(link), new_password=OTHER)
    assert User.objects.get(pk=alice.pk).check_password(OTHER)


@pytest.mark.parametrize(
    ("state", "reason", "why"),
    [
        ({}, " ", "reason"),
        ({"is_active": False}, "x", "switched off"),
        ({"lock_needs_staff": True, "locked_at": "2026-11-01T00:00:00Z"}, "x", "release the lock"),
        ({"mailbox": "full"}, "x", "links enough"),
    ],
)
def test_a_reset_that_staff_cannot_begin(
    root_client: Client, alice: User, state: dict[str, str], reason: str, why: str
) -> None:
    if "mailbox" in state:
        for number in range(LINKS_PER_MAILBOX_MAX):
            request_reset(email=alice.email, client=f"2001:db8:{number:x}::1")
    else:
        User.objects.filter(pk=alice.pk).update(**state)
    before = OutgoingEmail.objects.count()
    chosen = {"action": "send_reset", "_selected_action": str(alice.pk), "reason": reason}
    assert why in root_client.post("/admin/accounts/user/", chosen, follow=True).content.decode()
    assert OutgoingEmail.objects.count() == before
    assert not Record.objects.filter(action="user.reset-sent").exists()
