"""What changes a log-in holds withdrawals for a day (requirement A4): set by each change, shown before and after."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.policy import WITHDRAWALS_HELD_S
from apps.accounts.selectors import held_until
from apps.accounts.services.emailchange import confirm_email_change, request_email_change
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.resets import request_reset, reset_password
from apps.audit.models import Record
from tests.accounts.mailbox import HERE, link_to, token_of
from tests.accounts.people import PASSWORD
from tests.pages.world import logged_in

pytestmark = pytest.mark.django_db
OTHER = "staple correct horse"
DAY = timedelta(seconds=WITHDRAWALS_HELD_S)
WARNING = "This holds withdrawals for 24 hours."


def held_since(user: User, since: datetime) -> bool:
    """Whether the hold ends a day after a moment between `since` and now."""
    user.refresh_from_db()
    until = user.withdrawals_held_until
    return until is not None and since <= until - DAY <= timezone.now()


def reasons() -> list[str]:
    return list(Record.objects.filter(action="user.withdrawals-held").values_list("reason", flat=True))


def test_a_day_is_24_hours() -> None:
    assert timedelta(hours=24) == DAY


def test_a_changed_password_holds_and_the_pages_say_so(alice: User, alice_client: Client) -> None:
    client = Client()
    client.force_login(alice)
    assert WARNING in client.get("/account/password").content.decode()
    assert "Withdrawals" not in client.get("/account/").content.decode()
    since = timezone.now()
    assert client.post("/account/password", {"current": "wrong", "new": OTHER}).status_code == 422
    assert held_until(user=User.objects.get()) is None
    assert client.post("/account/password", {"current": PASSWORD, "new": OTHER}).status_code == 302
    assert held_since(alice, since)
    assert alice.withdrawals_held_until is not None
    shown = client.get("/account/").content.decode()
    assert f"{alice.withdrawals_held_until:%Y-%m-%d %H:%M}" in shown
    assert reasons() == ["the password was changed"]


def test_a_reset_holds(alice: User, client: Client) -> None:
    request_reset(email=alice.email, client=HERE)
    token = token_of(link_to(alice.email))
    assert WARNING in client.get(f"/account/reset-password/{token}").content.decode()
    since = timezone.now()
    reset_password(token=token, new_password=OTHER)
    assert held_since(alice, since)
    assert reasons() == ["the password was reset"]


def test_a_new_address_holds_once_it_is_confirmed(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    assert WARNING in client.get("/account/email").content.decode()
    request_email_change(user=alice, new_address="new@example.org", client=HERE)
    alice.refresh_from_db()
    assert alice.withdrawals_held_until is None
    token = token_of(link_to("new@example.org"))
    assert WARNING in client.get(f"/account/email/{token}").content.decode()
    since = timezone.now()
    confirm_email_change(token=token, user=alice, session_key=logged_in(alice))
    assert held_since(alice, since)
    assert reasons() == ["the e-mail address was changed"]


def test_a_hold_is_never_shortened(alice: User) -> None:
    late = timezone.now() + 3 * DAY
    User.objects.filter(pk=alice.pk).update(withdrawals_held_until=late)
    stale = User.objects.get(pk=alice.pk)
    assert hold_withdrawals(user=alice, reason=HoldReason.FACTOR_REMOVED) == late
    assert alice.withdrawals_held_until == late
    stale.withdrawals_held_until = None
    stale.save()
    User.objects.filter(pk=alice.pk).update(withdrawals_held_until=timezone.now())
    alice.refresh_from_db()
    assert alice.withdrawals_held_until == late


def test_a_hold_that_is_over_is_not_shown(alice: User) -> None:
    alice.withdrawals_held_until = timezone.now() - timedelta(microseconds=1)
    assert held_until(user=alice) is None
    alice.withdrawals_held_until = timezone.now() + timedelta(hours=1)
    assert held_until(user=alice) == alice.withdrawals_held_until
