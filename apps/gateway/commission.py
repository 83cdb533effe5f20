"""Commission rates in the dialect. There are no special rates, no taxes and no discount for paying in another asset."""

from typing import Any, Final

from apps.common.amounts import format_units

# Rates have eight decimals, as amounts do.
PER_PPM: Final = 100
DISCOUNT: Final[dict[str, Any]] = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": "BNB",
    "discount": "0.00000000",
}


def rate(ppm: int) -> str:
    return format_units(ppm * PER_PPM)


def _rates(maker_ppm: int, taker_ppm: int) -> dict[str, str]:
    return {"maker": rate(maker_ppm), "taker": rate(taker_ppm)}


def _of_all(maker_ppm: int, taker_ppm: int) -> dict[str, str]:
    return {**_rates(maker_ppm, taker_ppm), "buyer": rate(0), "seller": rate(0)}


def of_order(maker_ppm: int, taker_ppm: int) -> dict[str, Any]:
    """order/test with computeCommissionRates."""
    return {
        "standardCommissionForOrder": _rates(maker_ppm, taker_ppm),
        "specialCommissionForOrder": _rates(0, 0),
        "taxCommissionForOrder": _rates(0, 0),
        "discount": DISCOUNT,
    }


def of_account(symbol: str, maker_ppm: int, taker_ppm: int) -> dict[str, Any]:
    """account/commission."""
    return {
        "symbol": symbol,
        "standardCommission": _of_all(maker_ppm, taker_ppm),
        "specialCommission": _of_all(0, 0),
        "taxCommission": _of_all(0, 0),
        "discount": DISCOUNT,
    }
