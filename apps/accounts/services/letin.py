"""Letting a new browser in by a mailed link, while too many strangers guess (requirement A7, threat-T1)."""

from django.db import transaction
from django.http import HttpRequest

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import LinkDead
from apps.accounts.models import User
from apps.accounts.services.devices import know_browser
from apps.accounts.services.links import Purpose, find_link, issue_link, use_up_this
from apps.audit.actors import acting
from apps.audit.services import record
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def request_let_in(*, email: str, client: str) -> None:
    """Mail a link after which the browser that opens it may try passwords again; the caller cannot tell (threat-T4).

    The same queries and one message with and without an account. Raises InvalidEmail and TooManyAttempts.
    """
    address = normalise_email(email)
    with transaction.atomic():
        user = User.objects.filter(email=address, is_active=True).first()
        user_id = None if user is None else user.pk
        link = issue_link(purpose=Purpose.LET_IN, address=address, user_id=user_id, client=client)
        if link is not None:
            send_email(
                to=address,
                template="let_me_in_unknown" if user is None else "let_me_in",
                context={} if user is None else {"link": link, "phrase": user.mail_phrase},
                topic=Topic.SECURITY,
                user_id=user_id,
            )


def let_in(*, token: str, request: HttpRequest) -> None:
    """Make the browser one of the user's, in which nobody has logged in yet. Raises LinkDead."""
    user = owner_of_let_in(token=token)
    with transaction.atomic():
        link = find_link(purpose=Purpose.LET_IN, token=token, lock=True)
        use_up_this(link)
        know_browser(request=request, user=user)
        record(actor=acting(), action="user.device-let-in", object=f"user:{user.pk}")


def owner_of_let_in(*, token: str) -> User:
    """Whose browser the link makes of one. Raises LinkDead, also when the address is not theirs any more."""
    link = find_link(purpose=Purpose.LET_IN, token=token)
    user = User.objects.filter(mailed_links=link.pk, email=link.address, is_active=True).first()
    if user is None:
        raise LinkDead("This link does not work any more. Ask for a new one.")
    return user
