"""Money, prices and quantities as integers: the only place that parses, formats or rounds them.

Layout: every asset has 8 decimals inside the platform, so one unit is 10^-8 of the asset. Prices are counted in
ticks, quantities in lots; a market says how many 10^-8 units one tick and one lot are.

Invariants: no float enters or leaves; rounding is always in the house's favour and to a named account; every amount
stays below `AMOUNT_MAX` (architecture.md section 4).
"""

import re
from typing import Final

AMOUNT_MAX: Final = 2**62 - 1
ASSET_DECIMALS: Final = 8
PPM: Final = 1_000_000
BASIS_POINTS: Final = 10_000

# Money fields accept only this: ASCII digits, no sign, no exponent, no leading zero.
DECIMAL_PATTERN: Final = re.compile(r"(0|[1-9]\d{0,17})(?:\.(\d{1,18}))?", re.ASCII)


class AmountError(ValueError):
    """A text that is not an amount. `reason` is 'malformed', 'precision' (too many decimals) or 'range'."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text[:60]!r}")
        self.reason = reason


def parse_decimal(text: str, decimals: int = ASSET_DECIMALS) -> int:
    """The integer number of 10^-`decimals` units in `text`; exact or AmountError, never rounded.

    Trailing zeros beyond `decimals` are allowed ("1.0000000000" is 1), other digits there are 'precision'.
    """
    match = DECIMAL_PATTERN.fullmatch(text)
    if match is None:
        raise AmountError("malformed", text)
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > decimals:
        if fraction[decimals:].strip("0"):
            raise AmountError("precision", text)
        fraction = fraction[:decimals]
    units = int(whole + fraction.ljust(decimals, "0"))
    if units > AMOUNT_MAX:
        raise AmountError("range", text)
    return units


def format_units(units: int, decimals: int = ASSET_DECIMALS) -> str:
    """Plain decimal with exactly `decimals` digits after the point ("0.10000000"), as the API pads everywhere."""
    if decimals == 0:
        return str(units)
    if units < 0:
        return f"-{format_units(-units, decimals)}"
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def for_reading(text: str) -> str:
    """`text` of format_units as every page shows an amount, "12,345.60" for "12345.60000000": commas between thousands
    and no zeros at the end beyond two decimals. Still exact; never for a file, a form or a program.

    The pages that draw themselves do the same with formatDecimal (static/markets/decimal.js).
    """
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, decimals = digits.partition(".")
    return f"{sign}{int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def ceil_div(numerator: int, denominator: int) -> int:
    """Quotient rounded up; `denominator` > 0."""
    return -(-numerator // denominator)


def fee_units(received_units: int, rate_ppm: int) -> int:
    """Fee on what a party receives, in the asset received, rounded up (matching-rules.md 1). 0 for a rebate rate."""
    return -(-received_units * rate_ppm // PPM) if rate_ppm > 0 else 0


def safu_share(gross_fee_units: int) -> int:
    """The insurance fund's part of one fee: 10 % before any rebate, rounded up (F1, requirements section 12)."""
    return ceil_div(gross_fee_units, 10)


def rebate_units(taker_receipt_units: int, maker_rate_ppm: int, taker_fee_units: int) -> int:
    """Maker rebate out of the same trade's taker fee, in that fee's asset (matching-rules.md 1).

    `taker_receipt_units` is what the taker receives before its fee; `maker_rate_ppm` is negative for a rebate.
    """
    if maker_rate_ppm >= 0:
        return 0
    return min(taker_receipt_units * -maker_rate_ppm // PPM, taker_fee_units - safu_share(taker_fee_units))
