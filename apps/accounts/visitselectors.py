"""Reads of where a user is logged in, from which browsers, and who tried to."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib.auth import HASH_SESSION_KEY
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.accounts.models import Device, LogIn, OpenSession, User
from apps.accounts.policy import LOG_INS_PER_PAGE
from apps.accounts.sessiontimes import times_of


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """`ends_at` if it is not used again."""

    id: int
    browser: str
    address: str
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime
    ends_in_any_case_at: datetime
    is_this: bool


def open_sessions_of(*, user: User, session_key: str | None, now: datetime) -> list[SessionFacts]:
    """Those that still let somebody in, this one first, then the newest. One query."""
    found = []
    for row in OpenSession.objects.filter(user=user, session__expire_date__gt=Now()).select_related("session"):
        data = row.session.get_decoded()
        times = times_of(data)
        # Staff may have set another password in the admin: what fits no more lets nobody in.
        fits = hmac.compare_digest(str(data.get(HASH_SESSION_KEY, "")), user.get_session_auth_hash())
        if times is None or not fits or times.ends_at_s < now.timestamp():
            continue
        found.append(
            SessionFacts(
                id=row.pk,
                browser=row.browser,
                address=row.address,
                opened_at=_moment(times.opened_at_s),
                seen_at=_moment(times.seen_at_s),
                ends_at=_moment(times.ends_at_s),
                ends_in_any_case_at=_moment(times.ends_in_any_case_at_s),
                is_this=row.session_id == session_key,
            )
        )
    return sorted(found, key=lambda each: (not each.is_this, -each.id))


def _moment(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def devices_of(*, user_id: int) -> QuerySet[Device]:
    """The browsers that are known, the one used last first."""
    return Device.objects.filter(user=user_id).order_by("-seen_at", "-id")


@dataclass(frozen=True, slots=True)
class LogInPageRows:
    """Newest first. `older` is what to ask for next as `before`; None at the end."""

    rows: list[LogIn]
    older: int | None


def log_ins_of(*, user_id: int, before: int | None = None) -> LogInPageRows:
    """A page of the history: one range of the index of user and id."""
    chosen = LogIn.objects.filter(user=user_id)
    if before is not None:
        chosen = chosen.filter(pk__lt=before)
    rows = list(chosen.order_by("-id")[: LOG_INS_PER_PAGE + 1])
    more = len(rows) > LOG_INS_PER_PAGE
    rows = rows[:LOG_INS_PER_PAGE]
    return LogInPageRows(rows=rows, older=rows[-1].pk if more else None)
