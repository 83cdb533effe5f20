"""Pure decisions: no database, no clock."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.accounts.errors import InvalidEmail
from apps.accounts.policy import EMAIL_LENGTH_MAX

_MESSAGE = "Enter a valid e-mail address, like name@example.org."


def normalise_email(text: str) -> str:
    """The one spelling under which an address is stored and compared: ASCII, lower case, domain in punycode.

    Lower-casing the local part makes two addresses that differ only in case the same account. RFC 5321 allows a
    mail host to tell them apart; none in use does, and two accounts one key press apart help only an impostor.
    Raises InvalidEmail.
    """
    stripped = text.strip()
    local, separator, domain = stripped.rpartition("@")
    if not separator or not local.isascii():
        raise InvalidEmail(_MESSAGE)
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise InvalidEmail(_MESSAGE) from error
    email = f"{local}@{ascii_domain}".lower()
    if len(email) > EMAIL_LENGTH_MAX:
        raise InvalidEmail(_MESSAGE)
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidEmail(_MESSAGE) from error
    return email
