"""What the file of a user's own data has of accounts and notices (owndata.py)."""

from collections.abc import Iterator

from apps.accounts.models import (
    AllocationRule,
    ApiKey,
    Device,
    LogIn,
    OpenSession,
    TotpFactor,
    TradingAccount,
    User,
)
from apps.accounts.owndata import Row, data_part, in_lists
from apps.accounts.selectors import passkeys_of, second_factors
from apps.notifications.models import Notice, NoticePreference

# Enough to tell keys apart, too little to be used.
KEY_SHOWN: int = 8


@data_part("profile")
def profile(user_id: int) -> Iterator[list[Row]]:
    user = User.objects.get(pk=user_id)
    yield [
        {
            "user": user.pk, "email": user.email, "email_verified_at": user.email_verified_at,
            "phrase_in_email": user.mail_phrase, "time_zone": user.time_zone, "values_in": user.value_asset,
            "staff": user.is_staff, "withdrawals_held_until": user.withdrawals_held_until,
            "last_log_in_at": user.last_login, "created_at": user.created_at,
        }
    ]  # fmt: skip


@data_part("trading_accounts")
def trading_accounts(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(TradingAccount.objects.filter(owner=user_id)):
        yield [
            {
                "account": row.pk, "name": row.label, "master": row.is_main, "limits": row.tier,
                "frozen_at": row.frozen_at, "created_at": row.created_at,
            }
            for row in rows
        ]  # fmt: skip


@data_part("second_factors")
def factors(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(TotpFactor.objects.filter(user=user_id).exclude(confirmed_at=None)):
        yield [{"kind": "authenticator app", "since": row.confirmed_at} for row in rows]
    for rows in in_lists(passkeys_of(user_id=user_id)):
        yield [
            {"kind": "passkey", "name": row.name, "since": row.created_at, "last_used_at": row.last_used_at}
            for row in rows
        ]
    yield [{"kind": "recovery codes", "left": second_factors(user_id=user_id).recovery_codes_left}]


@data_part("sessions")
def sessions(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(OpenSession.objects.filter(user=user_id)):
        yield [{"browser": row.browser, "address": row.address} for row in rows]


@data_part("browsers")
def browsers(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(Device.objects.filter(user=user_id)):
        yield [
            {
                "browser": row.browser, "address": row.address, "known_since": row.created_at, "seen_at": row.seen_at,
                "logged_in_at": row.logged_in_at,
            }
            for row in rows
        ]  # fmt: skip


@data_part("log_ins")
def log_ins(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(LogIn.objects.filter(user=user_id)):
        yield [
            {
                "at": row.at, "succeeded": row.succeeded, "browser": row.browser, "address": row.address,
                "proved_by": row.factors, "new_browser": row.new_device,
            }
            for row in rows
        ]  # fmt: skip


@data_part("api_keys")
def api_keys(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(ApiKey.objects.filter(account__owner=user_id).defer("secret_box")):
        yield [
            {
                "account": row.account_id, "name": row.label, "begins_with": row.public_key[:KEY_SHOWN],
                "kind": row.kind, "reads": row.can_read, "trades": row.can_trade, "withdraws": row.can_withdraw,
                "works_from": row.allowed_networks, "created_at": row.created_at, "expires_at": row.expires_at,
                "revoked_at": row.revoked_at, "last_used_at": row.last_used_at,
                "last_used_from": row.last_used_address,
            }
            for row in rows
        ]  # fmt: skip


@data_part("allocation_rules")
def allocation_rules(user_id: int) -> Iterator[list[Row]]:
    owned = TradingAccount.objects.filter(owner=user_id).values("pk")
    for rows in in_lists(AllocationRule.objects.filter(account_id__in=owned)):
        yield [
            {
                "account": row.account_id, "rule": row.rule_id, "divided": row.get_method_display(),
                "among": row.accounts, "basis_points": row.weights_bp,
            }
            for row in rows
        ]  # fmt: skip


@data_part("notices")
def notices(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(Notice.objects.filter(user=user_id)):
        yield [
            {
                "topic": row.topic, "title": row.title, "text": row.body, "created_at": row.created_at,
                "read_at": row.read_at,
            }
            for row in rows
        ]  # fmt: skip


@data_part("notice_preferences")
def notice_preferences(user_id: int) -> Iterator[list[Row]]:
    for rows in in_lists(NoticePreference.objects.filter(user=user_id)):
        yield [{"topic": row.topic, "in_app": row.in_app, "email": row.email} for row in rows]
