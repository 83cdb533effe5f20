"""The decision on a sensitive action in the transaction that takes effect (rules.py says what is decided).

For what a switch can close, such as a withdrawal:

    with transaction.atomic():
        decision = decide_now(
            action=Action.WITHDRAW, facts=facts, account_id=account.pk, asset=asset.code, asset_class=asset.asset_class
        )
        if not decision.is_allowed:
            raise WithdrawalRefused(decision.message, code=decision.code)
        ...  # write the rows of the withdrawal

What no switch closes (rules.RULES), such as a transfer, can go by rules.decide and OPEN_GATES in a transaction that has
locked what it decides by; so do pages that only show what would be needed.
"""

from dataclasses import replace

from django.conf import settings
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount
from apps.accounts.facts import Facts
from apps.accounts.models import TradingAccount, User
from apps.accounts.rules import Action, Decision, decide
from apps.accounts.selectors import factors_of
from apps.controls.selectors import read_gates


def decide_now(
    *, action: Action, facts: Facts, account_id: int | None = None, asset: str = "", asset_class: str = ""
) -> Decision:
    """Decide by `facts`, with what is stored of the user and of the account put in their place, and by the switches.

    Call it inside transaction.atomic(). The user's row and the account's stay locked, so that no hold, freeze or loss
    of rights or of a factor comes between the decision and what is done by it; nor does a switch. Where the switches
    cannot be read, what they could close is refused. Raises NoTradingAccount unless the account is the user's.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=facts.user_id)
    frozen = facts.frozen
    if account_id is not None:
        account = TradingAccount.objects.select_for_update(no_key=True).filter(pk=account_id, owner=user).first()
        if account is None:
            raise NoTradingAccount("There is no such trading account.")
        frozen = account.is_frozen
    now = timezone.now()
    stored = replace(
        facts,
        factors=factors_of(user_id=user.pk),
        is_active=user.is_active,
        is_staff=user.is_staff,
        needs_passkey=settings.STAFF_NEED_PASSKEY,
        withdrawals_held_until=user.withdrawals_held_until,
        frozen=frozen,
    )
    gates = read_gates(user_id=user.pk, asset=asset, asset_class=asset_class, now=now)
    return decide(action, stored, gates, now)
