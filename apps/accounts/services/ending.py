"""Ending sessions of a user: their rows go, and with them, by accounts_session_ended, the trading sockets (T5)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.errors import SessionNotFound
from apps.accounts.models import OpenSession, User
from apps.audit.actors import acting
from apps.audit.services import record
from apps.web.errors import SessionEnded


def lock_sessions(user_id: int) -> None:
    """Until the end of the transaction nobody else opens or ends one of the user's.

    User first, then sessions, then what the triggers lock: whoever keeps to it never waits for somebody who waits.
    """
    User.objects.select_for_update(no_key=True).get(pk=user_id)
    list(Session.objects.select_for_update(of=("self",)).filter(opened__user=user_id).order_by("pk"))


def is_as_read(user_id: int, password_hash: str) -> bool:
    """Whether the account is still what a request has read: neither locked nor off, the password the same."""
    return User.objects.filter(pk=user_id, password=password_hash, is_active=True, locked_at=None).exists()


def check_still_in(*, user_id: int, password_hash: str, session_key: str | None) -> None:
    """Locks as lock_sessions does, in the caller's transaction: until its end the session stays what it is now.

    A request of a session can wait, for the hash of a password or for a lock, while the owner resets the password or
    locks the account elsewhere. It must not go on then. Raises SessionEnded.
    """
    lock_sessions(user_id)
    if not (is_as_read(user_id, password_hash) and Session.objects.filter(pk=session_key).exists()):
        raise SessionEnded("You were logged out meanwhile, and nothing was changed. Log in again.")


@contextmanager
def still_in(request: HttpRequest) -> Iterator[None]:
    """The transaction of what the logged-in user of `request` does to the account. Raises SessionEnded."""
    with transaction.atomic():
        user = cast(User, request.user)
        check_still_in(user_id=user.pk, password_hash=user.password, session_key=request.session.session_key)
        yield


def end_sessions(chosen: QuerySet[OpenSession]) -> int:
    """End those of `chosen`, and say how many they were. Cookies of them let nobody in from the commit on."""
    keys = list(chosen.values_list("session_id", flat=True))
    deleted, _ = Session.objects.filter(pk__in=keys).delete()
    return deleted


def end_session(*, user_id: int, session_id: int) -> None:
    """One of the user's, by the number of its OpenSession. Raises SessionNotFound, for a foreign one too."""
    with transaction.atomic():
        lock_sessions(user_id)
        if not end_sessions(OpenSession.objects.filter(pk=session_id, user=user_id)):
            raise SessionNotFound("This session is over already.")
        record(actor=acting(), action="user.session-ended", object=f"user:{user_id}", after={"sessions": 1})


def end_other_sessions(*, user_id: int, session_key: str | None) -> int:
    """All of the user's but this one; how many they were."""
    with transaction.atomic():
        lock_sessions(user_id)
        ended = end_sessions(OpenSession.objects.filter(user=user_id).exclude(session=session_key))
        if ended:
            record(actor=acting(), action="user.session-ended", object=f"user:{user_id}", after={"sessions": ended})
    return ended
