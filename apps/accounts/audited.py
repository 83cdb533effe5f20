"""Log-ins and log-outs, wherever they are made, leave an entry in the audit log: Django's signals tell of them."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction

from apps.audit import actors
from apps.audit.services import record


def _record(action: str, user: Any) -> None:
    if user is None or user.pk is None:
        return  # nobody was logged in
    with transaction.atomic():
        record(actor=actors.of_user(user), action=action, object=f"user:{user.pk}")


def _logged_in(sender: object, user: Any, **_: object) -> None:
    _record("user.log-in", user)


def _logged_out(sender: object, user: Any, **_: object) -> None:
    _record("user.log-out", user)


def connect() -> None:
    user_logged_in.connect(_logged_in, dispatch_uid="audit log-in")
    user_logged_out.connect(_logged_out, dispatch_uid="audit log-out")
