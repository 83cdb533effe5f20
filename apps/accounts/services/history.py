"""The log-ins of an account, as its owner can read them later (requirement A7)."""

from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import InvalidEmail
from apps.accounts.models import LogIn
from apps.accounts.policy import LOG_INS_PER_USER_MAX, SECOND_STEP_S

# One statement for a user and for nobody, before the password is looked at (threat-T4). Nothing or one row comes back.
_INSERT: Final = """
INSERT INTO accounts_login (user_id, at, succeeded, browser, address, factors, new_device)
SELECT id, %s, FALSE, %s, %s, '', FALSE FROM accounts_user WHERE email = %s
RETURNING id
"""
_FIRST_STEP: Final = "password"


class NotedAttempt:
    """An attempt that stands in the history as one that failed, unless it goes on."""

    def __init__(self, log_in_id: int | None) -> None:
        self._log_in_id = log_in_id

    def password_was_right(self) -> None:
        """A step is missing yet; note_log_in takes the row away once it was done."""
        LogIn.objects.filter(pk=self._log_in_id or 0).update(factors=_FIRST_STEP)

    def take_back(self) -> None:
        """Nobody looked at the password. One statement in any case."""
        LogIn.objects.filter(pk=self._log_in_id or 0).delete()


def note_attempt(*, email: str, browser: str, address: str) -> NotedAttempt:
    """In the transaction that counts the attempt: then a write to somebody's history costs no commit of its own."""
    try:
        known = normalise_email(email)
    except InvalidEmail:
        known = ""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [timezone.now(), browser, address, known])
        row = cursor.fetchone()
    return NotedAttempt(None if row is None else row[0])


def note_failed_passkey(*, user_id: int, browser: str, address: str) -> None:
    """A log-in by a passkey alone that was not accepted, as one with a wrong password."""
    LogIn.objects.create(user_id=user_id, at=timezone.now(), succeeded=False, browser=browser, address=address)


def note_log_in(*, user_id: int, browser: str, address: str, factors: frozenset[str], new_device: bool) -> None:
    """A log-in that was completed, in place of its first step. The oldest rows beyond LOG_INS_PER_USER_MAX go."""
    mine = LogIn.objects.filter(user=user_id)
    since = timezone.now() - timedelta(seconds=SECOND_STEP_S)
    mine.filter(succeeded=False, factors=_FIRST_STEP, browser=browser, address=address, at__gt=since).delete()
    LogIn.objects.create(
        user_id=user_id,
        at=timezone.now(),
        succeeded=True,
        browser=browser,
        address=address,
        factors=" ".join(sorted(factors)),
        new_device=new_device,
    )
    last_kept = mine.order_by("-id").values_list("pk", flat=True)[LOG_INS_PER_USER_MAX - 1 : LOG_INS_PER_USER_MAX]
    mine.filter(pk__lt=last_kept).delete()
