"""What can be switched, and for whom. No Django: followers without an ORM use it, too."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Each is off unless staff, an operator or the emergency protocol has started it. The values stand in rows, in the
    audit log and in the words of `manage.py switch`.
    """

    WITHDRAWALS = "withdrawal-suspension"
    DEPOSITS = "deposit-suspension"
    WHITELIST = "whitelist-freeze"
    BETA_TESTER = "beta-tester"


class Scope(StrEnum):
    """Of what: `subject` of a row is empty, an asset's code, a class's name, or a user's number."""

    PLATFORM = "platform"
    ASSET = "asset"
    ASSET_CLASS = "asset-class"
    USER = "user"


# Requirements W7, W3 and A9.
SCOPES: Final[Mapping[Kind, tuple[Scope, ...]]] = {
    Kind.WITHDRAWALS: tuple(Scope),
    Kind.DEPOSITS: tuple(Scope),
    Kind.WHITELIST: (Scope.PLATFORM,),
    Kind.BETA_TESTER: (Scope.USER,),
}
# Those that close something: what an end opens again, two of staff end in the admin (E2, docs/staff.md).
CLOSING: Final = frozenset(Kind) - {Kind.BETA_TESTER}
# Their rows always exist (services.install). One that is missing says that the table was not read as it is.
ALWAYS_THERE: Final = tuple(kind for kind, scopes in SCOPES.items() if Scope.PLATFORM in scopes)
