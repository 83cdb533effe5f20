"""What the security centre shows (requirement A8), with a number of queries that does not grow with the account."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from apps.accounts.models import ApiKey, Device, LogIn, User
from apps.accounts.models.keys import in_use
from apps.accounts.policy import LOG_INS_IN_CENTRE, UNUSED_DEVICE_S
from apps.accounts.securityscore import Score, SecurityFacts, score
from apps.accounts.selectors import SecondFactors, second_factors
from apps.accounts.visitselectors import SessionFacts, open_sessions_of


@dataclass(frozen=True, slots=True)
class SecurityState:
    """The score, what it was made of, and the factors beside it."""

    score: Score
    facts: SecurityFacts
    factors: SecondFactors


def security_of(*, user: User, now: datetime) -> SecurityState:
    """Five queries."""
    factors = second_factors(user_id=user.pk)
    keys = ApiKey.objects.filter(in_use(), account__owner=user.pk).aggregate(
        all=Count("pk"), open=Count("pk", filter=Q(can_trade=True, allowed_networks=[]))
    )
    unused = Q(seen_at__lt=now - timedelta(seconds=UNUSED_DEVICE_S))
    devices = Device.objects.filter(user=user.pk).aggregate(all=Count("pk"), unused=Count("pk", filter=unused))
    facts = SecurityFacts(
        email_proved=user.email_verified_at is not None,
        has_factor=factors.any,
        has_passkey=factors.passkeys > 0,
        recovery_codes_left=factors.recovery_codes_left,
        has_phrase=bool(user.mail_phrase),
        keys=keys["all"],
        open_keys=keys["open"],
        devices=devices["all"],
        unused_devices=devices["unused"],
    )
    return SecurityState(score=score(facts), facts=facts, factors=factors)


@dataclass(frozen=True, slots=True)
class Visits:
    """Sessions that are open, this one first; and the last log-ins, the newest first."""

    sessions: list[SessionFacts]
    log_ins: list[LogIn]


def visits_of(*, user: User, session_key: str | None, now: datetime) -> Visits:
    """Two queries, the second of a few rows from the end of an index, however long the history is."""
    return Visits(
        sessions=open_sessions_of(user=user, session_key=session_key, now=now),
        log_ins=list(LogIn.objects.filter(user=user.pk).order_by("-id")[:LOG_INS_IN_CENTRE]),
    )
