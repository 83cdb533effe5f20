"""Handing out the file of a user's own data (requirement A8)."""

import time
from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest

from apps.accounts.errors import TooManyFiles
from apps.accounts.owndata import own_data
from apps.accounts.policy import OWN_FILES_PER_WINDOW_MAX, OWN_FILES_WINDOW_S
from apps.accounts.services.ending import still_in
from apps.audit.actors import acting
from apps.audit.models import Record
from apps.audit.services import record

_ACTION: Final = "user.data-exported"


def export_own_data(*, request: HttpRequest) -> Iterator[str]:
    """The file of the logged-in user, made while it is read. Who asked stands in the audit log before.

    Raises SessionEnded where that happened meanwhile, and TooManyFiles.
    """
    owner = f"user:{request.user.pk}"
    with still_in(request):
        _refuse_too_many(owner)
        record(actor=acting(), action=_ACTION, object=owner)
    assert request.user.pk is not None
    return own_data(request.user.pk)


def _refuse_too_many(owner: str) -> None:
    """By the audit log. still_in has locked the user, so requests at the same moment come here one after another."""
    since_ms = (int(time.time()) - OWN_FILES_WINDOW_S) * 1_000
    asked = Record.objects.filter(object=owner, action=_ACTION, at_ms__gt=since_ms)
    if asked.count() >= OWN_FILES_PER_WINDOW_MAX:
        raise TooManyFiles(
            f"You have asked for the file {OWN_FILES_PER_WINDOW_MAX} times within an hour. Wait until an hour after "
            "the first of them, and ask again."
        )
