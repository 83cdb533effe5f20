"""Reads."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Case, Count, Exists, F, OuterRef, QuerySet, Value, When
from django.utils import timezone
from django_otp_webauthn.models import WebAuthnCredential

from apps.accounts.errors import AccountClosed, ApiKeyNotFound, NoTradingAccount, UserNotFound
from apps.accounts.facts import Factor, Shown
from apps.accounts.models import (
    AllocationChange,
    AllocationRule,
    ApiKey,
    RecoveryCode,
    TotpFactor,
    TradingAccount,
    User,
)
from apps.accounts.models.keys import in_use
from apps.accounts.policy import ALLOCATION_VERSIONS_SHOWN


def main_account(*, user_id: int) -> TradingAccount:
    """The user's main trading account; every user has exactly one."""
    return TradingAccount.objects.get(owner_id=user_id, is_main=True)


def main_account_id(*, user_id: int) -> int | None:
    """Its id, or None for a user made by other means than the manager."""
    return TradingAccount.objects.filter(owner_id=user_id, is_main=True).values_list("pk", flat=True).first()


def find_user_subject(typed: str) -> str | None:
    """For switches: the number, as text, of the user with this number or this e-mail address."""
    if typed.isascii() and typed.isdigit():
        found = User.objects.filter(pk=int(typed)).first() if len(typed) < 19 else None
    else:
        try:
            found = User.objects.get_by_natural_key(typed)
        except User.DoesNotExist:
            found = None
    return None if found is None else str(found.pk)


def user_of_subject(subject: str) -> User:
    """Of what a request for approval is about: user:17. Raises UserNotFound."""
    number = subject.removeprefix("user:")
    user = User.objects.filter(pk=int(number)).first() if number.isascii() and number.isdigit() else None
    if user is None:
        raise UserNotFound(f"There is no {subject[:60]!r}.")
    return user


def open_user_of_subject(subject: str, *, lock: bool = False) -> User:
    """The same, of who may get something by it; `lock` keeps the row until commit. Raises AccountClosed, too."""
    user = user_of_subject(subject)
    if lock:
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.closed_at is not None:
        raise AccountClosed("This account was closed by its owner, for good.")
    return user


def address_of_subject(subject: str) -> str:
    """How staff knows them: alice@example.org (user:17). Raises UserNotFound."""
    return f"{user_of_subject(subject).email} ({subject})"


def held_until(*, user: User) -> datetime | None:
    """Until when the user's withdrawals are held; None if they are not."""
    until = user.withdrawals_held_until
    return until if until is not None and until > timezone.now() else None


def accounts_of(*, user_id: int) -> QuerySet[TradingAccount]:
    """The user's master account, then the sub-accounts in the order in which they were made."""
    return TradingAccount.objects.filter(owner_id=user_id).order_by("-is_main", "id")


def accounts_with_keys(*, user_id: int) -> QuerySet[TradingAccount]:
    """The same, each with `usable_keys`, how many API keys of it are neither revoked nor expired."""
    usable = Count("api_keys", filter=in_use("api_keys__"))
    return accounts_of(user_id=user_id).annotate(usable_keys=usable)


def own_account(*, user_id: int, account_id: int) -> TradingAccount:
    """An account of this user. NoTradingAccount for an unknown number and for somebody else's (threat-T13)."""
    found = TradingAccount.objects.filter(owner_id=user_id, pk=account_id).first()
    if found is None:
        raise NoTradingAccount("You have no such account.")
    return found


def allocation_rules_of(*, account_id: int) -> QuerySet[AllocationRule]:
    """Rules that the engine has, by their numbers."""
    return AllocationRule.objects.filter(shard=settings.SHARD, account_id=account_id).order_by("rule_id")


def newest_changes(*, account_id: int, rule_id: int) -> QuerySet[AllocationChange]:
    """What was asked of a rule, by its owner or by staff, newest first."""
    asked = AllocationChange.objects.filter(account_id=account_id, rule_id=rule_id)
    return asked.order_by("-id")[:ALLOCATION_VERSIONS_SHOWN]


def api_keys_of(*, account_id: int) -> QuerySet[ApiKey]:
    """Usable keys first, newest first; without the secrets."""
    return (
        ApiKey.objects.filter(account_id=account_id)
        .defer("secret_box")
        .order_by(Case(When(in_use(), then=Value(0)), default=Value(1)), F("revoked_at").desc(nulls_first=True), "-id")
    )


def own_key_in_use(*, user_id: int, key_id: int) -> ApiKey:
    """A key of any of the user's accounts, with the account and its owner. Raises ApiKeyNotFound."""
    keys = ApiKey.objects.select_related("account__owner").defer("secret_box", "verify_key")
    found = keys.filter(in_use(), pk=key_id, account__owner_id=user_id).first()
    if found is None:
        raise ApiKeyNotFound("You have no such API key in use.")
    return found


@dataclass(frozen=True, slots=True)
class ApiKeyCounts:
    """`over`: revoked or expired."""

    usable: int
    over: int


def count_api_keys(*, account_id: int) -> ApiKeyCounts:
    keys = ApiKey.objects.filter(account_id=account_id)
    usable = keys.filter(in_use()).count()
    return ApiKeyCounts(usable=usable, over=keys.count() - usable)


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a user has beside the password; the date is that of the authenticator app's first code."""

    app_since: datetime | None
    passkeys: int
    recovery_codes_left: int

    @property
    def any(self) -> bool:
        return self.app_since is not None or self.passkeys > 0


def second_factors(*, user_id: int) -> SecondFactors:
    app = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).values_list("confirmed_at", flat=True)
    return SecondFactors(
        app_since=app.first(),
        passkeys=passkeys_of(user_id=user_id).count(),
        recovery_codes_left=RecoveryCode.objects.filter(user=user_id, used_at=None).count(),
    )


def passkeys_of(*, user_id: int) -> "QuerySet[WebAuthnCredential]":
    """In the order in which they were added."""
    mine: QuerySet[WebAuthnCredential] = WebAuthnCredential.objects.filter(user=user_id).order_by("id")
    return mine


def is_still_theirs(*, user_id: int, shown: Shown) -> bool:
    """Whether this very passkey or app lets `user_id` in, and was neither removed nor replaced. One query."""
    if shown.factor is Factor.PASSKEY:
        return passkeys_of(user_id=user_id).filter(pk=shown.row_id).exists()
    return TotpFactor.objects.filter(user=user_id, pk=shown.row_id, confirmed_at__isnull=False).exists()


def factors_of(*, user_id: int) -> frozenset[Factor]:
    """What is set up. One query."""
    app = TotpFactor.objects.filter(user=OuterRef("pk"), confirmed_at__isnull=False)
    passkey = WebAuthnCredential.objects.filter(user=OuterRef("pk"))
    has_app, has_passkey = User.objects.filter(pk=user_id).values_list(Exists(app), Exists(passkey)).get()
    has = {Factor.AUTHENTICATOR: has_app, Factor.PASSKEY: has_passkey}
    return frozenset(factor for factor, is_there in has.items() if is_there)


def has_second_factor(*, user_id: int) -> bool:
    return bool(factors_of(user_id=user_id))


def users_who_get_in() -> QuerySet[User]:
    """Nobody else logs in, whatever they prove: switched on, with a proved address, not locked (A1, A7)."""
    return User.objects.filter(is_active=True, locked_at=None, email_verified_at__isnull=False)
