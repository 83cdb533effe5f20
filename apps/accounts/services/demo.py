"""Demo accounts for `manage.py demo_account`; the command itself is in apps.markets, which knows the assets."""

import secrets
from dataclasses import dataclass
from math import ceil

from django.db import transaction
from django.utils import timezone

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import FactorMissing, NotADemoAccount
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, TotpFactor, TradingAccount, User
from apps.accounts.policy import TOTP_STEP_S, TOTP_STEPS_OFF_MAX
from apps.accounts.secrets import open_totp, seal_totp
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.totp import as_base32, code_at, new_secret, step_at

DEMO_KEY_LABEL = "Demo"
DEMO_DOMAIN = "demo.example.com"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Everything a script needs to log in and to trade as this account."""

    email: str
    password: str
    totp_secret: str
    api_key: str
    api_secret: str
    account_id: int
    created: bool


def make_demo_account(*, name: str, is_staff: bool) -> DemoAccount:
    """An account with a verified address, limits tier `demo`, an authenticator app, and a key that reads and trades.

    `name` is an e-mail address, or a name that becomes one at demo.example.com (reserved, so no mail can reach
    anybody). An existing *demo* account gets a new password, a new secret of its app, and a new key in place of its
    old demo key, so the output always works, and a lock of it ends; an existing ordinary account is refused and not
    touched. Staff rights are only ever added.
    Raises InvalidEmail and NotADemoAccount.
    """
    email = normalise_email(name if "@" in name else f"{name}@{DEMO_DOMAIN}")
    password = secrets.token_urlsafe(15)
    secret = new_secret()
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).filter(email=email).first()
        created = user is None
        if user is None:
            user = User.objects.create_user(
                email, password, email_verified_at=timezone.now(), is_staff=is_staff, is_superuser=is_staff
            )
            user.trading_accounts.filter(is_main=True).update(tier=TradingAccount.Tier.DEMO)
        # Before the new password, which ends keys and tickets by a trigger (services/locks.py).
        account = user.trading_accounts.select_for_update(no_key=True).get(is_main=True)
        if account.tier != TradingAccount.Tier.DEMO:
            raise NotADemoAccount(f"{email} is not a demo account; choose another name.")
        if not created:
            user.set_password(password)
            user.is_active = True
            # No mail reaches an owner who locked it, and so no reset.
            user.locked_at, user.lock_needs_staff = None, False
            user.is_staff = user.is_staff or is_staff
            user.is_superuser = user.is_superuser or is_staff
            user.save()
            revoke_keys(ApiKey.objects.filter(account=account, label=DEMO_KEY_LABEL))
        TotpFactor.objects.update_or_create(
            user=user,
            confirmed_at__isnull=False,
            defaults={
                "secret_box": seal_totp(user.pk, secret),
                "confirmed_at": timezone.now(),
                "last_step": -1,
                "failures": 0,
                "failures_in_a_row": 0,
            },
        )
        terms = KeyTerms(label=DEMO_KEY_LABEL, can_read=True, can_trade=True)
        key = issue_hmac_key(account_id=account.pk, terms=terms)
    return DemoAccount(
        email=email,
        password=password,
        totp_secret=as_base32(secret),
        api_key=key.key.public_key,
        api_secret=key.secret,
        account_id=account.pk,
        created=created,
    )


def demo_code(*, email: str) -> tuple[str, int]:
    """A code that a demo account has not used, and how many seconds it is to wait before it works.

    Raises InvalidEmail, NotADemoAccount, and FactorMissing.
    """
    user = User.objects.filter(email=normalise_email(email)).first()
    if user is None or user.trading_accounts.get(is_main=True).tier != TradingAccount.Tier.DEMO:
        raise NotADemoAccount(f"{email} is not the address of a demo account.")
    factor = TotpFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    if factor is None:
        raise FactorMissing(f"{email} has no authenticator app.")
    now_s = timezone.now().timestamp()
    step = max(step_at(now_s), factor.last_step + 1)
    works_from_s = (step - TOTP_STEPS_OFF_MAX) * TOTP_STEP_S
    return code_at(open_totp(user.pk, factor.secret_box), step), max(0, ceil(works_from_s - now_s))
