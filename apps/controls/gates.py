"""What the switches say to one user about one asset at one moment: values, no database."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Closed:
    """`code` is stable. `message` is for the user: what is closed, never why, which is staff's affair (E9)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """None is open. Deposits have no gate here: nobody asks to make one."""

    withdrawals: Closed | None = None
    whitelist: Closed | None = None
    staff_money: Closed | None = None


OPEN_GATES: Final = Gates()

_UNKNOWN: Final = Closed("SWITCHES_UNKNOWN", "This cannot be done right now. Try again in a minute.")
# Nobody knows what the switches say: nothing that they could close is open (threat-T28).
UNKNOWN_GATES: Final = Gates(withdrawals=_UNKNOWN, whitelist=_UNKNOWN, staff_money=_UNKNOWN)
