"""Allocation rules: who gets how much of a block order, as set before by SET_ALLOCATION (T12, matching-rules.md 8)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine.allocation import largest_remainder
from apps.streams.kinds import AllocationMethod, Reason

if TYPE_CHECKING:
    from apps.matching.engine.accounts import Account
    from apps.matching.engine.state import State

_FIXED: Final = int(AllocationMethod.FIXED)
_PRO_RATA: Final = int(AllocationMethod.PRO_RATA)


class AllocationRule:
    """`accounts` in the order that settles ties; `weights_bp` are theirs, for FIXED only."""

    __slots__ = ("accounts", "method", "weights_bp")

    def __init__(self, method: int, accounts: Sequence[int], weights_bp: Sequence[int]) -> None:
        self.method = method
        self.accounts = tuple(accounts)
        self.weights_bp = tuple(weights_bp)

    def is_of_family(self, state: "State", owner: "Account") -> bool:
        """Every account exists and is of the owner's family, which may be the owner itself."""
        found = [state.accounts.get(account_id) for account_id in self.accounts]
        return all(account is not None and account.family_id == owner.family_id for account in found)

    def weights(self, requested_lots: Sequence[int]) -> Sequence[int] | Reason:
        """By account, above 0 together. `requested_lots` are those of the command, which only PRO_RATA takes."""
        if self.method != _PRO_RATA:
            if requested_lots:
                return Reason.ALLOCATION_WEIGHTS
            return self.weights_bp if self.method == _FIXED else (1,) * len(self.accounts)
        if len(requested_lots) != len(self.accounts) or min(requested_lots) < 0 or not sum(requested_lots):
            return Reason.ALLOCATION_WEIGHTS
        return Reason.OVERFLOW if sum(requested_lots) > AMOUNT_MAX else requested_lots

    def final_lots(self, quantity_lots: int, requested_lots: Sequence[int]) -> list[int] | Reason:
        """The whole order's lots by account, by largest remainder."""
        weights = self.weights(requested_lots)
        return weights if isinstance(weights, Reason) else largest_remainder(quantity_lots, weights)
