"""E-mail that tells an owner what was done with the account."""

from apps.accounts.models import User
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def tell_password_changed(user: User) -> None:
    """In the transaction of the change."""
    send_email(
        to=user.email,
        template="password_changed",
        context={"phrase": user.mail_phrase},
        topic=Topic.SECURITY,
        user_id=user.pk,
    )
