"""Parsing, formatting and rounding of money: exact or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.amounts import (
    AMOUNT_MAX,
    AmountError,
    ceil_div,
    fee_units,
    for_reading,
    format_units,
    parse_decimal,
    rebate_units,
    safu_share,
)

MALFORMED = [
    "", " ", "+1", "-1", "-0", "-0.0", "1e3", "1E400", "NaN", "Infinity", "0x1", "1_0", "1,5", "١", "１２", "00.1", ".5",  # noqa: RUF001, E501
    "5.", " 1 ", "1 ", "1\n", "\x00", "1.0000000000000000001", "1" * 40, "1" + "0" * 30, "−1", "true", "null", "[]",  # noqa: RUF001
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(AmountError) as refusal:
        parse_decimal(text)
    assert refusal.value.reason == "malformed"


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [
        ("0", 8, 0),
        ("1", 8, 10**8),
        ("0.00000001", 8, 1),
        ("51000.01", 2, 5_100_001),
        ("1.2300000000", 2, 123),
        ("7", 0, 7),
    ],
)
def test_parse(text: str, decimals: int, units: int) -> None:
    assert parse_decimal(text, decimals) == units


def test_more_digits_than_the_scale_are_refused_not_rounded() -> None:
    with pytest.raises(AmountError) as refusal:
        parse_decimal("0.000000001")
    assert refusal.value.reason == "precision"


def test_amounts_above_the_engine_limit_are_refused() -> None:
    assert parse_decimal("46116860184.27387903") == AMOUNT_MAX
    with pytest.raises(AmountError) as refusal:
        parse_decimal("46116860184.27387904")
    assert refusal.value.reason == "range"


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 18))
def test_format_and_parse_are_inverse(units: int, decimals: int) -> None:
    text = format_units(units, decimals)
    if len(text.split(".")[0]) <= 18:
        assert parse_decimal(text, decimals) == units


def test_format_pads_and_signs() -> None:
    assert format_units(10_000_000) == "0.10000000"
    assert format_units(-1, 2) == "-0.01"
    assert format_units(5, 0) == "5"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.00000000", "0.00"), ("0.10000000", "0.10"), ("0.00000001", "0.00000001"), ("999.12300000", "999.123"),
        ("1000.00000000", "1,000.00"), ("-1234567.50000000", "-1,234,567.50"), ("-0.50000000", "-0.50"),
        ("5", "5.00"), ("1000000", "1,000,000.00"), (format_units(AMOUNT_MAX), "46,116,860,184.27387903"),
    ],
)  # fmt: skip
def test_what_pages_show_is_exact_and_easy_to_read(text: str, shown: str) -> None:
    assert for_reading(text) == shown


@given(st.integers(0, AMOUNT_MAX), st.integers(1, 10**9))
def test_ceil_div_is_the_smallest_sufficient_quotient(numerator: int, denominator: int) -> None:
    quotient = ceil_div(numerator, denominator)
    assert quotient * denominator >= numerator > (quotient - 1) * denominator


def test_fees_round_up_in_the_asset_received() -> None:
    assert fee_units(1, 1000) == 1
    assert fee_units(50_000_000, 1000) == 50_000
    assert fee_units(50_000_001, 1000) == 50_001
    assert fee_units(50_000_000, -500) == 0


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 499_999), st.integers(-500_000, 0))
def test_the_house_never_pays_for_a_trade(receipt: int, taker_ppm: int, maker_ppm: int) -> None:
    fee = fee_units(receipt, taker_ppm)
    rebate = rebate_units(receipt, maker_ppm, fee)
    assert rebate >= 0
    assert fee - rebate - safu_share(fee) >= 0
