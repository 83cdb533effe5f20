"""People and objects that the addresses of places.py name: alice owns them, bob is somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import AllocationRule, Device, OpenSession, User
from apps.accounts.selectors import main_account_id
from apps.accounts.services.emailchange import request_email_change
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.letin import request_let_in
from apps.accounts.services.locklinks import new_lock_link
from apps.accounts.services.resets import request_reset
from apps.accounts.services.signup import sign_up
from apps.accounts.services.subaccounts import create_sub_account
from apps.markets.services import create_asset, create_market
from apps.notifications.models import Audience, OutgoingEmail, Severity, Topic
from apps.notifications.services import notify, show_banner
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.mailbox import HERE, link_to, token_of
from tests.accounts.people import PASSWORD
from tests.markets.conftest import TERMS

TOKEN = "t" * 32


@dataclass(frozen=True, slots=True)
class World:
    """`sessions`: by role, the key of a session in which that one is logged in; empty for anonymous."""

    people: dict[str, User]
    sessions: dict[str, str]
    names: dict[str, str | int]

    def address(self, template: str) -> str:
        return "/" + template.format(**self.names)

    def client(self, role: str, *, token: bool = True) -> Client:
        """A browser of this one that checks CSRF like a real one, with the token of a form that it has open."""
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        if self.sessions[role]:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[role]
        if token:
            client.cookies[settings.CSRF_COOKIE_NAME] = TOKEN
            client.defaults["HTTP_X_CSRFTOKEN"] = TOKEN
        return client

    def confirmed(self, role: str) -> Client:
        """The same browser after staff has shown a code of an authenticator app; for others as `client`."""
        client = self.client(role)
        if role in ("staff", "root"):
            with_app(self.people[role])
            confirm_now(client)
        return client

    def send(self, role: str, method: str, address: str, form: Mapping[str, str] | None = None) -> Any:
        """GET, or POST of a form as a browser sends it, with its token in a field."""
        client = self.client(role)
        return (
            client.get(address)
            if method == "GET"
            else client.post(address, {"csrfmiddlewaretoken": TOKEN, **(form or {})})
        )


def make_world() -> World:
    alice = User.objects.create_user("alice@example.org", PASSWORD)
    people = {
        "owner": alice,
        "other": User.objects.create_user("bob@example.org", PASSWORD),
        "staff": User.objects.create_user("staff@example.org", PASSWORD, is_staff=True),
        "root": User.objects.create_superuser("root@example.org", PASSWORD),
    }
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    key = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="alice's bot", can_read=True, can_trade=True)).key
    sub = create_sub_account(user_id=alice.pk, label="second desk")
    rule = AllocationRule.objects.create(account_id=account_id, rule_id=7, method=2, accounts=[sub.pk], seq=1)
    sub_key = issue_hmac_key(account_id=sub.pk, terms=KeyTerms(label="its bot", can_read=True)).key
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
    sign_up(email="dora@example.org", password=PASSWORD, client=HERE)
    request_reset(email=alice.email, client=HERE)
    reset_token = token_of(link_to(alice.email))
    request_email_change(user=alice, new_address="alice.moves@example.org", client=HERE)
    notice = notify(user_id=alice.pk, topic=Topic.SERVICE, title="Maintenance on Sunday")
    assert notice is not None
    now = timezone.now()
    banner = show_banner(
        text="Maintenance on Sunday", severity=Severity.INFO, audience=Audience.EVERYONE, starts_at=now,
        ends_at=now + timedelta(days=1), link="/markets", link_text="What it means", made_by="test", reason="test",
    )  # fmt: skip
    request_let_in(email=alice.email, client=HERE)
    let_in_token = token_of(link_to(alice.email))
    device = Device.objects.create(user=alice, token_hash=b"x" * 32, browser="Firefox on Linux", address=HERE)
    session = OpenSession.objects.create(
        session_id=logged_in(alice), user=alice, device=device, browser=device.browser, address=HERE
    )
    return World(
        people=people,
        sessions={"anonymous": ""} | {role: logged_in(user) for role, user in people.items()},
        names={
            "alice": alice.pk,
            "account": account_id,
            "key": key.pk,
            "rule": rule.rule_id,
            "sub": sub.pk,
            "sub_key": sub_key.pk,
            "sign_up_token": token_of(link_to("dora@example.org")),
            "reset_token": reset_token,
            "email_token": token_of(link_to("alice.moves@example.org")),
            "notice": notice.pk,
            "banner": banner.pk,
            "lock_token": token_of(new_lock_link(alice, address=alice.email)),
            "let_in_token": let_in_token,
            "device": device.pk,
            "session": session.pk,
            "mail": OutgoingEmail.objects.earliest("pk").pk,
        },
    )


def logged_in(user: User) -> str:
    """Key of a session as a log-in leaves it, made without one, so that none counts for the throttle."""
    client = Client()
    client.force_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
