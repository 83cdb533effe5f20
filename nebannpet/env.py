"""Typed readers of environment variables. A missing or malformed one stops the process with a message that names it.

Every variable of the project is read through here, so a typing error never turns silently into a default.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


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
