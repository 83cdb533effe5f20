"""The arithmetic of block orders: exact sums, never too much, never a lot ahead, as the rule read aloud."""

from collections.abc import Sequence
from fractions import Fraction
from random import Random

import pytest

from apps.matching.engine.allocation import largest_remainder, next_lots
from apps.matching.engine.allocation_rules import AllocationRule
from apps.streams.kinds import AllocationMethod, Reason

LOTS_MAX = 2**62 - 1


def by_the_rule(final: Sequence[int], allocated: Sequence[int], lots: int) -> list[int]:
    """matching-rules.md 8, word by word: the `lots` largest of d_i, d_i - 1, d_i - 2 ... > 0 get one lot each."""
    quantity, so_far = sum(final), sum(allocated) + lots
    values = []
    for position, (share, got) in enumerate(zip(final, allocated, strict=True)):
        deficit = Fraction(share * so_far, quantity) - got
        while deficit > 0:
            values.append((-deficit, position))
            deficit -= 1
    assert len(values) >= lots
    chosen = [position for _, position in sorted(values)[:lots]]
    return [chosen.count(position) for position in range(len(final))]


def weights_of(random: Random, accounts: int) -> list[int]:
    kind = random.randrange(4)
    if kind == 0:
        return [1] * accounts
    if kind == 1:
        return [random.randrange(1, 4) for _ in range(accounts)]
    if kind == 2:
        return [random.choice((1, 10_000)) for _ in range(accounts)]
    return [random.randrange(0, 10**9) + 1 for _ in range(accounts)]


def test_thousands_of_orders_are_divided_as_the_rule_says() -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    random = Random(seed)
    fills = 0
    for _ in range(3_000):
        quantity = random.choice((1, 2, 3, random.randrange(1, 40), random.randrange(1, 300)))
        final = [lots for lots in largest_remainder(quantity, weights_of(random, random.randrange(1, 15))) if lots]
        allocated, so_far = [0] * len(final), 0
        while so_far < quantity:
            lots = min(quantity - so_far, random.choice((1, 1, 2, random.randrange(1, quantity + 1))))
            parts = next_lots(final, allocated, lots)
            assert parts == by_the_rule(final, allocated, lots)
            assert sum(parts) == lots
            allocated = [got + part for got, part in zip(allocated, parts, strict=True)]
            so_far += lots
            fills += 1
            for share, got in zip(final, allocated, strict=True):
                assert got <= share
                assert got * quantity - share * so_far < quantity, "a share is a lot ahead"
        assert allocated == final
    assert fills > 10_000


def test_fills_of_any_size_take_no_more_steps_than_small_ones() -> None:
    """2^62 lots in a few fills: exact, and at once."""
    random = Random(5)
    for _ in range(300):
        final = [lots for lots in largest_remainder(LOTS_MAX, weights_of(random, 64)) if lots]
        allocated, so_far = [0] * len(final), 0
        while so_far < LOTS_MAX:
            lots = min(LOTS_MAX - so_far, random.choice((1, 7, random.randrange(1, LOTS_MAX))))
            if random.random() < 0.2:
                lots = LOTS_MAX - so_far
            parts = next_lots(final, allocated, lots)
            assert sum(parts) == lots
            allocated = [got + part for got, part in zip(allocated, parts, strict=True)]
            so_far += lots
            assert all(
                got <= share and got * LOTS_MAX - share * so_far < LOTS_MAX
                for share, got in zip(final, allocated, strict=True)
            )
        assert allocated == final


def test_one_lot_over_thirty_accounts_goes_to_the_first() -> None:
    assert largest_remainder(1, [1] * 30) == [1] + [0] * 29


def test_nine_hundred_fills_of_one_lot_stay_even() -> None:
    """Largest remainder on each fill alone would give all 900 lots to the first account."""
    final = largest_remainder(900, [1] * 30)
    assert final == [30] * 30
    allocated = [0] * 30
    for number in range(1, 901):
        parts = next_lots(final, allocated, 1)
        allocated = [got + part for got, part in zip(allocated, parts, strict=True)]
        assert max(allocated) - min(allocated) <= 1
        assert all(got * 30 - number < 30 for got in allocated)
    assert allocated == final


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (2, [1, 1, 1], [1, 1, 0]),
        (7, [5_000, 3_000, 2_000], [4, 2, 1]),  # 3.5, 2.1, 1.4
        (0, [3, 1], [0, 0]),
        (5, [0, 1, 0], [0, 5, 0]),
        (2, [2, 0, 1, 1], [1, 0, 1, 0]),  # 1, 0, 0.5, 0.5
        (LOTS_MAX, [1, LOTS_MAX - 1], [1, LOTS_MAX - 1]),
    ],
)
def test_largest_remainder(total: int, weights: list[int], parts: list[int]) -> None:
    assert largest_remainder(total, weights) == parts


def test_largest_remainder_is_exact_and_off_by_less_than_one() -> None:
    random = Random(8)
    for _ in range(3_000):
        weights = [*weights_of(random, random.randrange(1, 65)), random.randrange(2)]
        total = random.choice((0, 1, random.randrange(100), random.randrange(LOTS_MAX)))
        parts, whole = largest_remainder(total, weights), sum(weights)
        assert sum(parts) == total
        assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    ("method", "weights_bp", "requested", "final"),
    [
        (AllocationMethod.EQUAL, (), (), [4, 3, 3]),
        (AllocationMethod.EQUAL, (), (1, 1, 1), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.FIXED, (1_000, 8_000, 1_000), (), [1, 8, 1]),
        (AllocationMethod.FIXED, (1_000, 8_000, 1_000), (1, 8, 1), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (100, 0, 300), [3, 0, 7]),  # 2.5, 7.5: the tie goes to the first
        (AllocationMethod.PRO_RATA, (), (), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (1, 1), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (1, 1, 1, 1), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (1, -1, 1), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (0, 0, 0), Reason.ALLOCATION_WEIGHTS),
        (AllocationMethod.PRO_RATA, (), (2**61, 2**61, 0), Reason.OVERFLOW),
        (AllocationMethod.PRO_RATA, (), (2**61, 2**61 - 1, 0), [5, 5, 0]),
    ],
)
def test_final_lots_of_each_method(
    method: AllocationMethod, weights_bp: tuple[int, ...], requested: tuple[int, ...], final: list[int] | Reason
) -> None:
    assert AllocationRule(method, (11, 12, 13), weights_bp).final_lots(10, requested) == final
