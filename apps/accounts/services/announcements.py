"""E-mail that tells an owner what was done with the account."""

from typing import Any, Final

from django.shortcuts import resolve_url

from apps.accounts.models import ApiKey, TradingAccount, User
from apps.accounts.services.locklinks import new_lock_link
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def tell_password_changed(user: User) -> None:
    tell_owner(user, "password_changed")


# Of a change that has ended them.
OTHERS_ENDED: Final = "All other sessions of it were ended."


def tell_factors_changed(user: User, what: str) -> None:
    """`what` is a sentence about the account."""
    tell_owner(user, "factor_changed", what=what)


def tell_codes_guessed(user: User) -> None:
    """Somebody who has the password tried codes until no more are looked at."""
    tell_owner(user, "codes_guessed")


def tell_passkey_copied(user: User, name: str) -> None:
    """`name` is the passkey's: its counter did not go forward, so a copy of it may be in use."""
    tell_owner(user, "passkey_copied", name=name)


def tell_recovered(user: User, codes_left: int) -> None:
    tell_owner(user, "recovered", codes_left=codes_left)


def tell_staff_changed(user: User, *, before: str, after: str) -> None:
    """`before` and `after` are the roles in words, as roles_text of services/staffroles.py says them."""
    tell_owner(user, "staff_changed", before=before, after=after)


def tell_of_key(key: ApiKey, template: str, **context: Any) -> None:
    """The owner of the account that the key is of."""
    tell_owner(key.account.owner, template, key=key, keys_page=keys_page_of(key.account), **context)


def keys_page_of(account: TradingAccount) -> str:
    """The address of the page of its API keys."""
    if account.is_main:
        return resolve_url("accounts:api-keys")
    return resolve_url("accounts:sub-account-api-keys", account.pk)


def tell_locked(user: User, *, to: str) -> None:
    """How to come back; without another link that locks."""
    template = "account_locked_for_staff" if user.lock_needs_staff else "account_locked"
    send_email(to=to, template=template, context={"phrase": user.mail_phrase}, topic=Topic.SECURITY, user_id=user.pk)


def tell_closed(user: User) -> None:
    """The last e-mail; there is nothing left that a link could lock."""
    send_email(
        to=user.email, template="account_closed", context={"phrase": user.mail_phrase}, topic=Topic.SECURITY,
        user_id=user.pk,
    )  # fmt: skip


def tell_owner(user: User, template: str, *, to: str = "", phrase: str | None = None, **context: object) -> None:
    """In the transaction of what it tells, with a link that locks the account.

    `to` and `phrase` are what the user had before, where that was changed.
    """
    address = to or user.email
    known = {
        "phrase": user.mail_phrase if phrase is None else phrase,
        "lock_link": new_lock_link(user, address=address),
    }
    send_email(
        to=address,
        template=template,
        context={**known, **context},
        topic=Topic.SECURITY,
        user_id=user.pk,
    )
