"""E-mail that tells an owner what was done with the account."""

from apps.accounts.models import User
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def tell_password_changed(user: User) -> None:
    """In the transaction of the change."""
    _tell(user, "password_changed")


def tell_factors_changed(user: User, what: str) -> None:
    """`what` is a sentence about the account; in the transaction of the change."""
    _tell(user, "factor_changed", what=what)


def tell_codes_guessed(user: User) -> None:
    """Somebody who has the password tried codes until no more are looked at."""
    _tell(user, "codes_guessed")


def tell_recovered(user: User, codes_left: int) -> None:
    """In the transaction of the recovery."""
    _tell(user, "recovered", codes_left=codes_left)


def _tell(user: User, template: str, **context: object) -> None:
    send_email(
        to=user.email,
        template=template,
        context={**context, "phrase": user.mail_phrase},
        topic=Topic.SECURITY,
        user_id=user.pk,
    )
