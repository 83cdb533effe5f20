"""Making an account."""

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.accounts.rules import normalise_email


def sign_up(*, email: str, password: str) -> None:
    """Make a user and its main trading account, unless the address is taken; the caller cannot tell which.

    Insert first, then see: both cases hash the password and try the insert, and two sign-ups at once make one account.
    Nothing about an existing account changes.
    Raises InvalidEmail, and Django's ValidationError for a password that breaks the rules. Both depend on the input
    alone, never on what is stored (threat-T4).
    """
    address = normalise_email(email)
    validate_password(password, User(email=address))
    try:
        with transaction.atomic():
            User.objects.create_user(address, password)
    except IntegrityError:
        # Only the unique address can refuse here; anything else must be heard of.
        if not User.objects.filter(email=address).exists():
            raise
