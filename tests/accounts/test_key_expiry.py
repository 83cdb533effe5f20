"""What owners are told of keys that expire: when, and each once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.selectors import main_account
from apps.accounts.services.keyexpiry import tell_of_ends
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.notifications.content import unseal
from apps.notifications.models import Notice, OutgoingEmail

END = datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC)
END_DAY = END.date()


def key_of(user: User, *, end: datetime | None = END, account_id: int = 0) -> ApiKey:
    account = account_id or main_account(user_id=user.pk).pk
    return issue_hmac_key(
        account_id=account, terms=KeyTerms(label="my <bot>", can_read=True, can_trade=False, expires_at=end)
    ).key


def told(days_before: int) -> list[int]:
    """The days before the end for which an e-mail is sent on this day."""
    found = tell_of_ends(today=END_DAY - timedelta(days=days_before))
    return [days for days, count in found.items() for _ in range(count)]


@pytest.mark.django_db
def test_fourteen_and_three_days_before_and_on_the_day(alice: User) -> None:
    key_of(alice)
    key_of(alice, end=None)
    sent = {days: told(days) for days in (90, 15, 14, 13, 4, 3, 2, 1, 0, -1, -30)}
    assert {days: each for days, each in sent.items() if each} == {14: [14], 3: [3], 0: [0]}
    subjects = list(OutgoingEmail.objects.order_by("pk").values_list("subject", flat=True))
    assert subjects == ["An API key of yours expires soon"] * 2 + ["An API key of yours ends today"]
    assert Notice.objects.filter(user=alice, link="/account/api-keys").count() == 3
    first = OutgoingEmail.objects.order_by("pk")[0]
    assert first.content is not None
    content = unseal(first.content, message_id=first.message_id)
    assert (first.to, first.user_id) == (alice.email, alice.pk)
    for text in ("my <bot>", "2027-03-31 23:59 UTC", "last never", "/account/api-keys", "/account/lock/"):
        assert text in content.text, text
    assert "my &lt;bot&gt;" in content.html


@pytest.mark.django_db
def test_after_days_of_rest_only_the_last_one(alice: User) -> None:
    key_of(alice)
    assert told(2) == [3]
    assert told(0) == [0]
    key_of(alice, end=END + timedelta(days=1))
    assert told(-2) == [], "it does not end today: it ended yesterday"
    assert told(-1) == [0]


@pytest.mark.django_db
def test_whose_keys_nobody_is_told_of(alice: User, make_user: Callable[..., User]) -> None:
    ApiKey.objects.filter(pk=key_of(alice).pk).update(revoked_at=timezone.now())
    key_of(make_user("off@example.org", is_active=False))
    assert told(0) == []
    assert not OutgoingEmail.objects.exists()


@pytest.mark.django_db
def test_of_a_sub_account(alice: User) -> None:
    desk = create_sub_account(user_id=alice.pk, label="Desk")
    key_of(alice, account_id=desk.pk)
    assert told(10) == [14]
    assert Notice.objects.get().link == f"/account/sub-accounts/{desk.pk}/api-keys"
    email = OutgoingEmail.objects.get()
    assert email.content is not None
    assert "sub-account Desk" in unseal(email.content, message_id=email.message_id).text


@pytest.mark.django_db(transaction=True)
def test_many_at_once_tell_once(make_user: Callable[..., User]) -> None:
    key_of(make_user())

    def tell(day: date) -> int:
        try:
            return sum(tell_of_ends(today=day).values())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(tell, [END_DAY] * 6)) == 1
    assert OutgoingEmail.objects.count() == 1
