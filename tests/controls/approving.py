"""A kind of request for these tests: it renames a user's main account; and staff with some rights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Permission

from apps.accounts.models import TradingAccount, User
from apps.common.errors import DomainError
from apps.controls import approvalkinds
from apps.controls.approvalkinds import ApprovalKind, Approved, Change, Payload

NAME = "test-rename"
REFUSED = "forbidden"
ASK, DECIDE = "accounts.view_tradingaccount", "accounts.change_tradingaccount"


def _account(subject: str) -> TradingAccount:
    return TradingAccount.objects.get(owner=int(subject.removeprefix("user:")), is_main=True)


def _describe(subject: str, payload: Payload) -> Iterator[Change]:
    yield Change("label", _account(subject).label, payload["label"])


def _apply(approved: Approved) -> None:
    account = _account(approved.subject)
    account.label = approved.payload["label"]
    account.save(update_fields=("label",))
    if account.label == REFUSED:
        raise DomainError("This label is forbidden.")


@contextmanager
def renaming(**given: Any) -> Iterator[None]:
    """The kind is there, with what is given otherwise than one approver who decides at once."""
    kind = ApprovalKind(
        name=NAME, title="Rename an account", permission=DECIDE, asking=ASK, describe=_describe, apply=_apply, **given
    )
    approvalkinds.register(kind)
    try:
        yield
    finally:
        del approvalkinds._KINDS[NAME]


def staff(name: str, *rights: str) -> User:
    user = User.objects.create_user(f"{name}@example.org", None, is_staff=True)
    for right in (*rights, "controls.view_approvalrequest"):
        app, codename = right.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user
