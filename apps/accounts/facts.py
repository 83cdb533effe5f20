"""What the decision on sensitive actions is told of who asks and of what they ask for (rules.py). Values, no database.

Amounts are whole numbers of the asset's units (10^-8), values whole units of policy.VALUE_ASSET; times are aware.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from apps.accounts.policy import HIGH_VALUE_TOTAL_UNITS


class Factor(StrEnum):
    AUTHENTICATOR = "authenticator"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Shown:
    """Which one of a user's factors was shown just now: `row_id` is that of its TotpFactor or passkey."""

    factor: Factor
    row_id: int


class Channel(Enum):
    SESSION = 1
    API_KEY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What is to be withdrawn, beside what was within 24 hours before; the sums include this one.

    `high_from_units`: from this sum of the asset on, it is one of high value. `review_above_units`: above this sum, two
    staff members look at it. Neither is set for an asset (None): then every withdrawal of it is both. A value that no
    price is known for is None, and high. `listed_at` is None for an address that is not on the whitelist;
    `whitelist_on` stays true during the cool-down of switching it off.
    """

    asset_24h_units: int
    total_24h_value_units: int | None
    high_from_units: int | None
    review_above_units: int | None
    whitelist_on: bool = False
    listed_at: datetime | None = None

    @property
    def is_high_value(self) -> bool:
        """A3: by the sum of the asset or by that of all, so that no row of small ones is let through."""
        return (
            self.high_from_units is None
            or self.asset_24h_units >= self.high_from_units
            or self.total_24h_value_units is None
            or self.total_24h_value_units >= HIGH_VALUE_TOTAL_UNITS
        )

    @property
    def is_reviewed(self) -> bool:
        return self.review_above_units is None or self.asset_24h_units > self.review_above_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of who asks.

    `factors` are set up. `confirmed_at` is when this session was last confirmed, by what in `confirmed_by` (empty: the
    password). `fresh_by` were proved for this very request, and stay proved for it. `frozen`: the account that funds
    would leave is. `needs_passkey`: of staff in production.
    """

    user_id: int
    factors: frozenset[Factor] = frozenset()
    confirmed_at: datetime | None = None
    confirmed_by: frozenset[Factor] = frozenset()
    fresh_by: frozenset[Factor] = frozenset()
    channel: Channel = Channel.SESSION
    is_active: bool = True
    frozen: bool = False
    withdrawals_held_until: datetime | None = None
    withdrawal: Withdrawal | None = None
    is_staff: bool = False
    needs_passkey: bool = False
    approved_by: frozenset[int] = frozenset()
