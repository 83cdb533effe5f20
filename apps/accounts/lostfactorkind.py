"""What two of staff approve for a user who lost the second factor: how it is described and carried out (A2)."""

from collections.abc import Iterable
from typing import Final

from django.db.models import Q

from apps.accounts.errors import FactorMissing, LostFactorCaseOver
from apps.accounts.models import ApiKey, LostFactorCase, OpenSession, RecoveryCode, TotpFactor, User
from apps.accounts.policy import LOST_FACTOR_APPROVERS, LOST_FACTOR_WAIT
from apps.accounts.selectors import factors_of, passkeys_of, second_factors
from apps.accounts.services.announcements import tell_factors_changed
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.ending import end_sessions, lock_sessions
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import use_up_all_of
from apps.accounts.tokens import hash_token
from apps.audit.actors import acting
from apps.audit.services import record
from apps.controls.approvalkinds import ApprovalKind, Approved, Change, Payload

NAME: Final = "lost-factor"


def describe(subject: str, _: Payload) -> Iterable[Change]:
    """Raises FactorMissing."""
    factors = second_factors(user_id=_user_id(subject))
    if not factors.any:
        raise FactorMissing("This user has no second factor any more.")
    app = "none" if factors.app_since is None else f"set up {factors.app_since:%Y-%m-%d %H:%M} UTC"
    return (
        Change("Authenticator app", app, "none: the password alone logs in"),
        Change("Passkeys", str(factors.passkeys), "none"),
        Change("Recovery codes", "as they are", "removed"),
        Change("Sessions", "as they are", "ended"),
        Change("API keys that trade or withdraw", "as they are", "revoked"),
        Change("Withdrawals", "as they are", "held for 24 hours"),
    )


def carry_out(approved: Approved) -> None:
    """In the transaction of the last approval. Raises FactorMissing, LostFactorCaseOver."""
    user_id = _user_id(approved.subject)
    use_up_all_of(user_id)
    lock_sessions(user_id)
    user = User.objects.get(pk=user_id)
    check_not_over(user, request_id=approved.request_id)
    factors = sorted(factors_of(user_id=user_id))
    if not factors:
        raise FactorMissing("This user has no second factor any more.")
    TotpFactor.objects.filter(user=user).delete()
    passkeys_of(user_id=user_id).delete()
    RecoveryCode.objects.filter(user=user).delete()
    end_sessions(OpenSession.objects.filter(user=user))
    # Which need a second factor (requirement A3).
    revoke_keys(ApiKey.objects.filter(Q(can_trade=True) | Q(can_withdraw=True), account__owner=user))
    record(
        actor=acting(),
        action="user.factor-removed",
        object=f"user:{user_id}",
        after={
            "factors": [factor.value for factor in factors],
            "asked_by": approved.maker.id,
            "approved_by": [actor.id for actor in approved.approvers],
        },
        reason="it was lost",
    )
    hold_withdrawals(user=user, reason=HoldReason.FACTOR_REMOVED)
    tell_factors_changed(
        user,
        "It was removed because you told us that you lost it: the password alone logs in. All sessions are ended, API "
        "keys that trade are revoked, and withdrawals are held for 24 hours. Set up another one at once.",
    )


def check_not_over(user: User, *, request_id: int) -> None:
    """Raises LostFactorCaseOver where the case was asked for by a password that is not the account's any more."""
    case = LostFactorCase.objects.get(request=request_id)
    if not user.is_active or user.locked_at is not None or bytes(case.password_hash_digest) != digest_of(user):
        raise LostFactorCaseOver(
            "The account was locked, or has another password than when this was asked for. Decline it; the user can "
            "ask again."
        )


def digest_of(user: User) -> bytes:
    return hash_token(user.password)


def _user_id(subject: str) -> int:
    return int(subject.removeprefix("user:"))


LOST_FACTOR: Final = ApprovalKind(
    name=NAME,
    title="Remove a lost second factor",
    permission="accounts.approve_reopening_user",
    describe=describe,
    apply=carry_out,
    approvers_needed=LOST_FACTOR_APPROVERS,
    wait=LOST_FACTOR_WAIT,
)
