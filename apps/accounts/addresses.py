"""One spelling for each e-mail address and each network: no database, no clock."""

from ipaddress import IPv6Address, ip_network

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.accounts.errors import InvalidEmail, InvalidNetwork
from apps.accounts.policy import EMAIL_LENGTH_MAX

_MESSAGE = "Enter a valid e-mail address, like name@example.org."


def normalise_email(text: str) -> str:
    """The one spelling under which an address is stored and compared: ASCII, lower case, domain in punycode.

    Lower-casing the local part makes two addresses that differ only in case the same account. RFC 5321 allows a
    mail host to tell them apart; none in use does, and two accounts one key press apart help only an impostor.
    A quoted local part may hold what breaks a header, and an encoded word (RFC 2047) is another address to the
    program that sends the mail; no mailbox in use has either.
    Raises InvalidEmail.
    """
    stripped = text.strip()
    local, separator, domain = stripped.rpartition("@")
    if not separator or not local.isascii() or '"' in local or "=?" in stripped or not stripped.isprintable():
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


def normalise_network(text: str) -> str:
    """The one spelling of an address or network that a key may be limited to. Raises InvalidNetwork."""
    stripped = text.strip()
    shown = stripped[:50]
    try:
        # The name of a network interface (fe80::1%eth0) means something on its own machine only.
        network = ip_network("" if "%" in stripped else stripped)
    except ValueError as error:
        raise InvalidNetwork(f"'{shown}' is not an IP address, nor a network like 203.0.113.0/24.") from error
    if isinstance(network.network_address, IPv6Address) and network.network_address.ipv4_mapped is not None:
        raise InvalidNetwork(f"'{shown}' is an IPv4 address in IPv6 spelling. Write it as 203.0.113.7.")
    if network.prefixlen == 0:
        raise InvalidNetwork(f"'{shown}' is every address. Give no network at all for that.")
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
