"""Making an account: first a link to the address, then the account (requirement A1)."""

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import AddressTaken
from apps.accounts.models import User
from apps.accounts.services.links import Purpose, check_network, find_link, issue_link, use_up
from apps.accounts.services.throttle import WITH_LINK, begin_attempt
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def sign_up(*, email: str, password: str, client: str) -> None:
    """Mail a link to the address; the caller cannot tell whether it has an account already.

    Both cases cost one hash, the same queries and one message: a link, or to an owner the news that somebody tried.
    There is no user before the link was followed, so an address cannot be taken by somebody who does not read its mail.
    Raises InvalidEmail, Django's ValidationError for a password that breaks the rules, TooManyAttempts and TooBusy. All
    depend on the input and the client alone, never on what is stored (threat-T4).
    """
    address = normalise_email(email)
    validate_password(password, User(email=address))
    check_network(client)
    password_hash = make_password(password)
    with transaction.atomic():
        owner = User.objects.filter(email=address).first()
        link = issue_link(
            purpose=Purpose.SIGN_UP, address=address, user_id=None, client=client, password_hash=password_hash
        )
        if link is not None:
            send_email(
                to=address,
                template="sign_up" if owner is None else "sign_up_known",
                context={"link": link} if owner is None else {"phrase": owner.mail_phrase},
                topic=Topic.SECURITY,
                user_id=None if owner is None else owner.pk,
            )


def confirm_sign_up(*, token: str, password: str, client: str) -> User | None:
    """The new user; None if this is not the password of the sign-up.

    The password is asked for because the link alone proves only who reads the mail: without it, following a link that
    somebody else asked for would make an account of which they know the password.
    Raises LinkDead, TooManyAttempts, and AddressTaken when another link of the address was faster.
    """
    link = find_link(purpose=Purpose.SIGN_UP, token=token)
    attempt = begin_attempt(subject=link.address, address=client, origin=WITH_LINK)
    if not check_password(password, link.password):
        return None
    attempt.succeeded()
    with transaction.atomic():
        link = find_link(purpose=Purpose.SIGN_UP, token=token, lock=True)
        use_up(link)
        if User.objects.filter(email=link.address).exists():
            raise AddressTaken("This address has an account already. Log in with its password.")
        return User.objects.create_hashed(link.address, link.password)
