"""Fee rates by account tier, and what one print costs both parties (T11, matching-rules.md 1)."""

from collections.abc import Sequence

from apps.common.amounts import fee_units, rebate_units
from apps.streams.messages import MAX_FEE_TIERS


def rates_by_tier(fees: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """(maker_ppm, taker_ppm), each a list over all tiers that an account may have.

    An account in a tier above the market's last one trades at the market's last one.
    """
    padded = list(fees) + [fees[-1]] * (MAX_FEE_TIERS - len(fees))
    return [maker for maker, _ in padded], [taker for _, taker in padded]


def maker_and_taker_fee(taker_gets: int, maker_gets: int, maker_ppm: int, taker_ppm: int) -> tuple[int, int]:
    """(maker fee, taker fee) in units, each in the asset that the party receives.

    A negative maker fee is a rebate: paid out of the taker's fee and therefore in the asset the *taker* receives.
    """
    taker_fee = fee_units(taker_gets, taker_ppm)
    if maker_ppm >= 0:
        return fee_units(maker_gets, maker_ppm), taker_fee
    return -rebate_units(taker_gets, maker_ppm, taker_fee), taker_fee
