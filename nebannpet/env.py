"""Typed readers of environment variables. A missing or malformed one stops the process with a message that names it.

Every variable of the project is read through here, so a typing error never turns silently into a default.
"""

import os
import re
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


# Where no port is given: submission (RFC 6409) and submissions (RFC 8314).
MAIL_PORTS = {"smtp": 587, "smtps": 465}


class ConfigurationError(Exception):
    """The environment does not allow the process to start; the message says which variable and what to do."""


def text(name: str, default: str | None = None) -> str:
    """The variable's value; an empty one counts as missing. Without `default` it must be set."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ConfigurationError(f"{name} is not set. Set it in the environment.")
    return default


def integer(name: str, default: int | None = None, *, minimum: int, maximum: int) -> int:
    raw = text(name, None if default is None else str(default))
    if re.fullmatch(r"-?\d{1,18}", raw, re.ASCII) is None:
        raise ConfigurationError(f"{name} must be a whole number, not {raw!r}.")
    value = int(raw)
    if not minimum <= value <= maximum:
        raise ConfigurationError(f"{name} must be between {minimum} and {maximum}, not {value}.")
    return value


def flag(name: str, default: bool) -> bool:
    raw = text(name, "1" if default else "0").lower()
    if raw in TRUE_WORDS:
        return True
    if raw in FALSE_WORDS:
        return False
    raise ConfigurationError(f"{name} must be 1 or 0 (also true/false, yes/no, on/off), not {raw!r}.")


def choice(name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = text(name, default)
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value


def words(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A list separated by commas."""
    return tuple(part.strip() for part in text(name, ",".join(default)).split(",") if part.strip())


def directory(name: str, default: Path) -> Path:
    """An absolute path; it need not exist yet."""
    return Path(text(name, str(default))).expanduser().absolute()


def url(name: str, schemes: tuple[str, ...], default: str | None = None) -> str:
    """A URL with one of `schemes`; the value is not echoed, since it may hold a password."""
    value = text(name, default)
    if urlsplit(value).scheme not in schemes:
        raise ConfigurationError(f"{name} must start with {' or '.join(s + '://' for s in schemes)}.")
    return value


def origin(name: str, default: str | None = None) -> str:
    """scheme://host[:port] as browsers send it, without a path or trailing slash."""
    value = url(name, ("http", "https"), default)
    parts = urlsplit(value)
    if not parts.hostname or value != f"{parts.scheme}://{parts.netloc}":
        raise ConfigurationError(f"{name} must look like https://exchange.example, without a path, not {value!r}.")
    return value


@dataclass(frozen=True, slots=True)
class EmailServer:
    """Where e-mail is handed in. `starttls` insists on it: a server that does not offer it gets nothing."""

    host: str
    port: int
    user: str
    password: str
    security: Literal["starttls", "tls", "none"]


def email_server(name: str) -> EmailServer | None:
    """smtp://user:password@host:port (STARTTLS) or smtps://... (TLS at once); None when it is not set.

    `?tls=off` speaks in clear to a relay on this machine, and then without a password. The value is never echoed.
    """
    if not text(name, ""):
        return None
    value = url(name, tuple(MAIL_PORTS))
    parts = urlsplit(value)
    try:
        port = parts.port or MAIL_PORTS[parts.scheme]
    except ValueError as error:
        raise ConfigurationError(f"{name} must have a port between 1 and 65535, or none.") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not parts.hostname or parts.path not in ("", "/") or parts.fragment or options not in ({}, {"tls": "off"}):
        raise ConfigurationError(f"{name} must look like smtp://user:password@mail.example:587, nothing after it.")
    if (parts.username is None) != (parts.password is None):
        raise ConfigurationError(f"{name} must have both a user and a password, or neither.")
    if options and (parts.scheme == "smtps" or parts.password is not None):
        raise ConfigurationError(f"{name}: tls=off goes only with smtp:// and without a password.")
    security: Literal["starttls", "tls", "none"] = "tls" if parts.scheme == "smtps" else "starttls"
    return EmailServer(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        security="none" if options else security,
    )


def address(name: str, default: str | None = None) -> str:
    """An e-mail address: name@host."""
    value = text(name, default)
    if re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", value) is None or not value.isprintable():
        raise ConfigurationError(f"{name} must look like support@exchange.example, not {value!r}.")
    return value


def sender(name: str, default: str | None = None) -> str:
    """The address that e-mail comes from: name@host, or Name <name@host>."""
    value = text(name, default)
    address = parseaddr(value)[1]
    if re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address) is None or not value.isprintable():
        raise ConfigurationError(f"{name} must look like Nebannpet <no-reply@exchange.example>, not {value!r}.")
    return value
