"""What the switches say to one user about one asset at one moment: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from apps.controls.kinds import ALWAYS_THERE, Kind, Scope


class SwitchRow(NamedTuple):
    """A row of the table, as readers without the ORM have it. `until`: it is over from then on by itself."""

    kind: str
    scope: str
    subject: str
    is_on: bool
    until: datetime | None

    def is_in_force(self, now: datetime) -> bool:
        return self.is_on and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Closed:
    """`code` is stable. `message` is for the user: what is closed, never why, which is staff's affair (E9)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """None is open. Staff money is closed by nothing but not knowing."""

    withdrawals: Closed | None = None
    deposits: Closed | None = None
    whitelist: Closed | None = None
    staff_money: Closed | None = None


OPEN_GATES: Final = Gates()

_UNKNOWN: Final = Closed("SWITCHES_UNKNOWN", "This cannot be done right now. Try again in a minute.")
# Nobody knows what the switches say: nothing that they could close is open (threat-T28).
UNKNOWN_GATES: Final = Gates(withdrawals=_UNKNOWN, deposits=_UNKNOWN, whitelist=_UNKNOWN, staff_money=_UNKNOWN)

_FROZEN: Final = Closed(
    "WHITELIST_FROZEN", "Nothing can be added to whitelists right now, and none can be switched off."
)


def subjects_of(*, user_id: int, asset: str, asset_class: str) -> list[tuple[Scope, str]]:
    """Whose switches count for this user and this asset, the widest first. Empty text: no asset, or of no class."""
    found = [(Scope.PLATFORM, ""), (Scope.ASSET_CLASS, asset_class), (Scope.ASSET, asset), (Scope.USER, str(user_id))]
    return [(scope, subject) for scope, subject in found if subject or scope is Scope.PLATFORM]


def gates_of(rows: Iterable[SwitchRow], *, user_id: int, asset: str, asset_class: str, now: datetime) -> Gates:
    """`rows` has at least those of subjects_of. UNKNOWN_GATES where a row is missing that always exists: an empty
    answer is no permission.
    """
    found = {(row.kind, row.scope, row.subject): row for row in rows}
    if any((kind, Scope.PLATFORM, "") not in found for kind in ALWAYS_THERE):
        return UNKNOWN_GATES
    subjects = subjects_of(user_id=user_id, asset=asset, asset_class=asset_class)

    def closing(kind: Kind) -> tuple[Scope, str] | None:
        for scope, subject in subjects:
            row = found.get((kind, scope, subject))
            if row is not None and row.is_in_force(now):
                return scope, subject
        return None

    return Gates(
        withdrawals=_suspended("WITHDRAWALS_SUSPENDED", "Withdrawals", closing(Kind.WITHDRAWALS)),
        deposits=_suspended("DEPOSITS_SUSPENDED", "Deposits", closing(Kind.DEPOSITS)),
        whitelist=None if closing(Kind.WHITELIST) is None else _FROZEN,
    )


def _suspended(code: str, what: str, by: tuple[Scope, str] | None) -> Closed | None:
    if by is None:
        return None
    scope, subject = by
    of = {
        Scope.PLATFORM: "",
        Scope.ASSET_CLASS: f" of {subject} assets",
        Scope.ASSET: f" of {subject}",
        Scope.USER: " of your account",
    }[scope]
    return Closed(code, f"{what}{of} are suspended right now.")
