"""The relying party of passkeys: the name that they are bound to for ever, and the address they are used at (A2)."""

import ipaddress
from urllib.parse import urlsplit

from nebannpet.env import ConfigurationError

DEVELOPMENT = "localhost"


def relying_party(public_origin: str, named: str) -> tuple[str, str]:
    """Its id, and the one origin that answers are taken from.

    The id is the host of `public_origin`, or `named`, a domain above it. Browsers know passkeys only over HTTPS and at
    localhost, and never at a plain address; for such an origin, which only development has, it is localhost. Raises
    ConfigurationError for a name that browsers would refuse there.
    """
    parts = urlsplit(public_origin)
    host = parts.hostname or ""
    if not has_passkeys(public_origin):
        if named:
            raise ConfigurationError(f"PASSKEY_RP_ID={named!r} needs a PUBLIC_ORIGIN with https and a host name.")
        port = "" if parts.port is None else f":{parts.port}"
        return DEVELOPMENT, f"http://{DEVELOPMENT}{port}"
    if named and named != host and not ("." in named and host.endswith(f".{named}")):
        raise ConfigurationError(f"PASSKEY_RP_ID must be {host!r}, the host of PUBLIC_ORIGIN, or a domain above it.")
    return named or host, public_origin


def has_passkeys(origin: str) -> bool:
    """Whether browsers offer passkeys at this origin."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return parts.scheme == "https" or host == DEVELOPMENT
    return False
