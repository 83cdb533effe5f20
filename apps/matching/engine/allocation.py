"""Dividing lots and money among sub-accounts, exactly (T12, matching-rules.md 8). Pure arithmetic on integers.

Products of two amounts below 2^62 appear here, as everywhere: they fit 128 bits.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from apps.matching.engine.accounts import Seat


class Share:
    """What one sub-account is to get of a block order, and what it has got: lots, those without money included."""

    __slots__ = ("allocated_lots", "final_lots", "seat")

    def __init__(self, seat: "Seat", final_lots: int, allocated_lots: int = 0) -> None:
        self.seat = seat
        self.final_lots = final_lots
        self.allocated_lots = allocated_lots

    @property
    def open_lots(self) -> int:
        return self.final_lots - self.allocated_lots


class Portion(NamedTuple):
    """Lots that a share gets in one step."""

    share: Share
    lots: int


class Block:
    """What makes an order a block order. `shares` are those above 0, in the order of the rule.

    `rule_id` and `requested_crc` (of the requested lots as they stood in the command) are only there for the
    fingerprint: the rule may change meanwhile, this order's shares do not.
    """

    __slots__ = ("requested_crc", "rule_id", "shares")

    def __init__(self, rule_id: int, requested_crc: int) -> None:
        self.rule_id = rule_id
        self.requested_crc = requested_crc
        self.shares: list[Share] = []

    def allocate(self, lots: int) -> list[Portion]:
        """The next `lots` of the order, which count as allocated from now on. In the order of the rule."""
        shares = self.shares
        parts = next_lots([share.final_lots for share in shares], [share.allocated_lots for share in shares], lots)
        portions = [Portion(share, part) for share, part in zip(shares, parts, strict=True) if part]
        for share, part in portions:
            share.allocated_lots += part
        return portions


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight; what rounding down leaves goes to the largest remainders, ties to the first."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    ranked = sorted(range(len(parts)), key=lambda position: (-remainders[position], position))
    for position in ranked[: total - sum(parts)]:
        parts[position] += 1
    return parts


def next_lots(final: Sequence[int], allocated: Sequence[int], lots: int) -> list[int]:
    """How many of the next `lots` each share gets, by what it lacks. O(n log n), however many lots they are.

    deficit d_i = final_i x cum / Q - allocated_i, with cum all lots so far, these included, and Q the sum of final. The
    `lots` largest of all values d_i, d_i - 1, d_i - 2 ... > 0 get one lot each, ties to the first.

    All values are whole multiples of 1/Q. Write d_i as a layer (its whole part) and a remainder: share i has one value
    in each of its layers 0 to whole_i. So all values of the layers above one get a lot, and within that layer the
    largest remainders. As no share is a lot ahead, that layer is among the first few: there are enough values above 0,
    as the deficits add up to `lots`, and each layer holds one of every share that lacks more.
    """
    quantity = sum(final)
    so_far = sum(allocated) + lots
    whole: list[int] = []
    remainders: list[int] = []
    for share, got in zip(final, allocated, strict=True):
        layers, remainder = divmod(share * so_far - got * quantity, quantity)
        whole.append(layers)
        remainders.append(remainder)
    layer, above = 0, sum(layers for layers in whole if layers > 0)
    while above > lots:
        layer += 1
        above = sum(layers - layer for layers in whole if layers > layer)
    parts = [max(layers - layer, 0) for layers in whole]
    within = [position for position, layers in enumerate(whole) if layers >= layer and (layer or remainders[position])]
    within.sort(key=lambda position: (-remainders[position], position))
    for position in within[: lots - above]:
        parts[position] += 1
    return parts
