"""When a session began, was last used, and ends (threat-T5): whole epoch seconds in the session itself."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from apps.accounts.policy import SESSION_ABSOLUTE_S, SESSION_IDLE_S

_OPENED_AT: Final = "opened_at_s"
_SEEN_AT: Final = "seen_at_s"


@dataclass(frozen=True, slots=True)
class SessionTimes:
    opened_at_s: int
    seen_at_s: int

    @property
    def ends_at_s(self) -> int:
        """If it is not used again."""
        return min(self.seen_at_s + SESSION_IDLE_S, self.ends_in_any_case_at_s)

    @property
    def ends_in_any_case_at_s(self) -> int:
        return self.opened_at_s + SESSION_ABSOLUTE_S


def begin(session: MutableMapping[str, Any], *, now_s: int) -> None:
    session[_OPENED_AT] = session[_SEEN_AT] = now_s


def touch(session: MutableMapping[str, Any], *, now_s: int) -> None:
    session[_SEEN_AT] = now_s


def times_of(session: Mapping[str, Any]) -> SessionTimes | None:
    """None before `begin`."""
    opened_at, seen_at = session.get(_OPENED_AT), session.get(_SEEN_AT)
    return None if opened_at is None or seen_at is None else SessionTimes(opened_at, seen_at)
