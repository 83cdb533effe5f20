"""Between the password and the second step of a log-in: whose password this browser has proved, in its session.

Nobody is logged in yet. What stands here ends with SECOND_STEP_S, with a change of the password, with a lock of the
account, and with the log-in.
"""

import time
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from apps.accounts.models import User
from apps.accounts.policy import SECOND_STEP_S
from apps.accounts.selectors import users_who_get_in

_KEY: Final = "second_step"


@dataclass(frozen=True, slots=True)
class PendingLogIn:
    """`next_url` is a checked address of this site, or empty."""

    user: User
    next_url: str


def begin_second_step(*, request: HttpRequest, user: User, next_url: str) -> None:
    """The password of `user` was right; the session gets a new key, so that nobody else continues with the old one."""
    request.session.cycle_key()
    request.session[_KEY] = {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "until_s": int(time.time()) + SECOND_STEP_S,
        "next": next_url,
    }


def pending_log_in(request: HttpRequest) -> PendingLogIn | None:
    """Whose second step this browser may take, if anybody's."""
    kept = request.session.get(_KEY)
    if kept is None or kept["until_s"] < time.time():
        return None
    user = users_who_get_in().filter(pk=kept["user"]).first()
    if user is None or not constant_time_compare(kept["password"], user.get_session_auth_hash()):
        return None
    return PendingLogIn(user=user, next_url=kept["next"])


def end_second_step(request: HttpRequest) -> None:
    """It was taken, or given up."""
    request.session.pop(_KEY, None)
