"""Times on the pages of the account are those of the zone that the user chose, and each page says which it is (A8)."""

from datetime import UTC, datetime

from django.test import Client
from django_otp_webauthn.models import WebAuthnCredential

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import AllocationChange, ApiKey, TradingAccount, User
from apps.accounts.selectors import main_account
from apps.accounts.services.allocations import set_allocation_rule
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.notifications.models import Notice, Topic
from apps.notifications.services import notify
from apps.streams.kinds import AllocationMethod
from tests.accounts.passkeys import with_passkey

AT = datetime(2099, 3, 1, 20, 0, tzinfo=UTC)
THERE = "2099-03-02 01:45"  # in Kathmandu, 5 h 45 min ahead


def test_every_page_with_times_has_the_user_s(alice: User, alice_client: Client) -> None:
    sub = create_sub_account(user_id=alice.pk, label="Desk")
    main = main_account(user_id=alice.pk).pk
    issue_hmac_key(account_id=main, terms=KeyTerms(label="bot", can_read=True, can_trade=False))
    issue_hmac_key(account_id=sub.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=False))
    with_passkey(alice)
    notify(user_id=alice.pk, topic=Topic.SERVICE, title="Hello")
    rule = set_allocation_rule(
        account_id=main, rule_id=None, method=int(AllocationMethod.EQUAL), accounts=[sub.pk], weights_bp=[],
        reason="own", requested_by="alice",
    )  # fmt: skip
    for model, field in (
        (ApiKey, "last_used_at"), (TradingAccount, "created_at"), (WebAuthnCredential, "last_used_at"),
        (Notice, "created_at"), (AllocationChange, "requested_at"),
    ):  # fmt: skip
        assert model.objects.update(**{field: AT}), model  # type: ignore[attr-defined]
    User.objects.update(time_zone="Asia/Kathmandu", withdrawals_held_until=AT)
    for path in (
        "", "security", "api-keys", "passkeys", "sub-accounts", f"sub-accounts/{sub.pk}",
        f"sub-accounts/{sub.pk}/api-keys", "notices", f"allocation-rules/{rule.rule_id}",
    ):  # fmt: skip
        page = alice_client.get(f"/account/{path}").content.decode()
        assert THERE in page, path
        assert "2099-03-01" not in page.replace('datetime="2099-03-01', ""), path
        assert "Asia/Kathmandu" in page, path
        assert "UTC" not in page, path
