"""Fee rates by account tier (T11). What one print costs stands in the sweep, with the rounding of amounts.py."""

from collections.abc import Sequence

from apps.streams.messages import MAX_FEE_TIERS


def rates_by_tier(fees: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """(maker_ppm, taker_ppm), each a list over all tiers that an account may have.

    An account in a tier above the market's last one trades at the market's last one.
    """
    padded = list(fees) + [fees[-1]] * (MAX_FEE_TIERS - len(fees))
    return [maker for maker, _ in padded], [taker for _, taker in padded]
