"""Posting rules: worked numbers, and the batch form equal to the readable one."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.amounts import fee_units, rebate_units
from apps.ledger.columns import Terms, allocation_entries, entries_of, merged, summed, trade_entries
from apps.ledger.models import OwnerKind
from apps.ledger.rules import MarketTerms, Posting, allocation_postings, money_postings, trade_postings
from apps.streams.codec import encode_event
from apps.streams.events import Allocated, MoneyMoved, Trade
from apps.streams.kinds import AllocationStep, CommandKind, Counterparty, EventKind, Side, TradeFlag
from apps.streams.records import EVENTS

USER, FEES, SAFU, EXTERNAL = OwnerKind.USER, OwnerKind.FEES, OwnerKind.SAFU, OwnerKind.EXTERNAL
BASE, QUOTE = 1, 5
ALICE, BOB = 1001, 1002

# Tick 0.01, lot 0.00001: one tick times one lot is 10 units of the quote asset.
TERMS = MarketTerms(BASE, QUOTE, lot_size=1_000, unit_factor=10)


def trade(**changes: int) -> Trade:
    values = {
        name: 0 for name, code in zip(EVENTS[EventKind.TRADE].names, EVENTS[EventKind.TRADE].codes, strict=True) if code
    }
    return Trade(**(values | {"seq": 7, "account_id": ALICE, "maker_account_id": BOB} | changes))


def totals(postings: list[Posting]) -> dict[int, int]:
    sums: dict[int, int] = defaultdict(int)
    for posting in postings:
        sums[posting.asset_id] += posting.amount_units
    return dict(sums)


def test_a_sale_at_50950_with_fees_on_both_sides() -> None:
    # T2's first print: 0.5 BTC at 50,950 USDT. Taker (seller) 0.1 %, maker (buyer) 0.08 %.
    quote, base = 2_547_500_000_000, 50_000_000
    sale = trade(
        price_ticks=5_095_000, quantity_lots=50_000,
        taker_fee_units=fee_units(quote, 1_000), maker_fee_units=fee_units(base, 800),
    )  # fmt: skip
    assert (sale.taker_fee_units, sale.maker_fee_units) == (2_547_500_000, 40_000)
    assert trade_postings(sale, TERMS) == [
        Posting(0, QUOTE, USER, BOB, -2_547_500_000_000),
        Posting(1, QUOTE, USER, ALICE, 2_547_500_000_000 - 2_547_500_000),
        Posting(2, BASE, USER, BOB, 50_000_000 - 40_000),
        Posting(3, BASE, USER, ALICE, -50_000_000),
        Posting(4, BASE, SAFU, 0, 4_000),
        Posting(5, BASE, FEES, 0, 36_000),
        Posting(6, QUOTE, SAFU, 0, 254_750_000),
        Posting(7, QUOTE, FEES, 0, 2_292_750_000),
    ]


def test_a_rebate_comes_out_of_the_takers_fee_in_what_the_taker_receives() -> None:
    # The taker sells 0.2 at 50,940 and pays 0.1 % in USDT; the maker gets 0.02 % of the same USDT.
    quote = 1_018_800_000_000
    fee = fee_units(quote, 1_000)
    rebate = rebate_units(quote, -200, fee)
    sale = trade(price_ticks=5_094_000, quantity_lots=20_000, taker_fee_units=fee, maker_fee_units=-rebate)
    assert (fee, rebate) == (1_018_800_000, 203_760_000)
    assert trade_postings(sale, TERMS) == [
        Posting(0, QUOTE, USER, BOB, -quote + rebate),
        Posting(1, QUOTE, USER, ALICE, quote - fee),
        Posting(2, BASE, USER, BOB, 20_000_000),
        Posting(3, BASE, USER, ALICE, -20_000_000),
        Posting(6, QUOTE, SAFU, 0, 101_880_000),
        Posting(7, QUOTE, FEES, 0, 1_018_800_000 - 101_880_000 - 203_760_000),
    ]


def test_a_buying_taker_pays_its_fee_and_the_rebate_in_the_base_asset() -> None:
    fee = fee_units(20_000_000, 1_000)
    rebate = rebate_units(20_000_000, -200, fee)
    bought = trade(
        flags=TradeFlag.TAKER_IS_BUYER, price_ticks=5_094_000, quantity_lots=20_000, taker_fee_units=fee,
        maker_fee_units=-rebate,
    )  # fmt: skip
    assert trade_postings(bought, TERMS) == [
        Posting(0, QUOTE, USER, ALICE, -1_018_800_000_000),
        Posting(1, QUOTE, USER, BOB, 1_018_800_000_000),
        Posting(2, BASE, USER, ALICE, 20_000_000 - 20_000),
        Posting(3, BASE, USER, BOB, -20_000_000 + 4_000),
        Posting(4, BASE, SAFU, 0, 2_000),
        Posting(5, BASE, FEES, 0, 14_000),
    ]


def test_one_unit_of_fee_goes_whole_to_safu() -> None:
    tiny = trade(price_ticks=1, quantity_lots=1, taker_fee_units=1)
    assert [posting for posting in trade_postings(tiny, TERMS) if posting.kind in (SAFU, FEES)] == [
        Posting(6, QUOTE, SAFU, 0, 1)
    ]


def moved(op: CommandKind, **changes: int) -> MoneyMoved:
    values: dict[str, int] = {
        "seq": 3, "cmd_ms": 1, "cmd_n": 0, "cmd_index": 0, "account_id": ALICE, "relay_seq": 9, "source": 1,
        "counter": Counterparty.EXTERNAL, "asset_id": BASE, "amount_units": 500, "released_units": 0,
        "available_units": 0, "held_units": 0, "to_account_id": 0, "to_available_units": 0, "to_held_units": 0,
    }  # fmt: skip
    return MoneyMoved(op=op, key="k", **(values | changes))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (moved(CommandKind.CREDIT), [Posting(0, BASE, USER, ALICE, 500), Posting(1, BASE, EXTERNAL, 0, -500)]),
        (moved(CommandKind.DEBIT), [Posting(0, BASE, USER, ALICE, -500), Posting(1, BASE, EXTERNAL, 0, 500)]),
        (moved(CommandKind.CAPTURE), [Posting(0, BASE, USER, ALICE, -500), Posting(1, BASE, EXTERNAL, 0, 500)]),
        (
            moved(CommandKind.CAPTURE, to_account_id=BOB),
            [Posting(0, BASE, USER, ALICE, -500), Posting(1, BASE, USER, BOB, 500)],
        ),
        (
            moved(CommandKind.TRANSFER, to_account_id=BOB),
            [Posting(0, BASE, USER, ALICE, -500), Posting(1, BASE, USER, BOB, 500)],
        ),
        (moved(CommandKind.HOLD), []),
        (moved(CommandKind.RELEASE), []),
    ],
)
def test_money_commands(event: MoneyMoved, expected: list[Posting]) -> None:
    assert money_postings(event) == expected


def test_money_without_a_rule_is_not_booked() -> None:
    with pytest.raises(AssertionError, match="no posting rule"):
        money_postings(moved(CommandKind.PLACE_ORDER))
    with pytest.raises(KeyError):
        money_postings(moved(CommandKind.CREDIT, counter=Counterparty.NONE))


@st.composite
def trades_with_terms(draw: st.DrawFn) -> tuple[Trade, MarketTerms]:
    """A trade as an engine makes it: fees by the rules of matching-rules.md section 1, either side taking."""
    lot_size, unit_factor = draw(st.sampled_from([1, 10, 1_000])), draw(st.sampled_from([1, 7, 10_000]))
    price, lots = draw(st.integers(1, 10**7)), draw(st.integers(1, 10**6))
    taker_ppm = draw(st.integers(0, 20_000))
    maker_ppm = draw(st.integers(-taker_ppm * 9 // 10, 20_000))
    taker_buys = draw(st.booleans())
    base, quote = lots * lot_size, price * lots * unit_factor
    taker_gets, maker_gets = (base, quote) if taker_buys else (quote, base)
    taker_fee = fee_units(taker_gets, taker_ppm)
    maker_fee = fee_units(maker_gets, maker_ppm) or -rebate_units(taker_gets, maker_ppm, taker_fee)
    record = trade(
        flags=TradeFlag.TAKER_IS_BUYER if taker_buys else 0, price_ticks=price, quantity_lots=lots,
        taker_fee_units=taker_fee, maker_fee_units=maker_fee, account_id=draw(st.integers(1, 5)),
        maker_account_id=draw(st.integers(6, 9)),
    )  # fmt: skip
    return record, MarketTerms(1, 2, lot_size, unit_factor)


@given(st.lists(trades_with_terms(), max_size=20))
def test_both_forms_of_the_rules_are_equal_and_every_trade_sums_to_zero(drawn: list[tuple[Trade, MarketTerms]]) -> None:
    from dataclasses import replace

    numbered = [(replace(record, seq=seq), terms) for seq, (record, terms) in enumerate(drawn, start=11)]
    expected = [(record.seq, posting) for record, terms in numbered for posting in trade_postings(record, terms)]
    for record, terms in numbered:
        assert set(totals(trade_postings(record, terms)).values()) == {0}
        assert all(p.amount_units > 0 for p in trade_postings(record, terms) if p.kind != USER)
    events = np.frombuffer(
        b"".join(encode_event(record) for record, _ in numbered),
        dtype=np.dtype(EVENTS[EventKind.TRADE].numpy_fields()),
    )
    columns = Terms(
        *(
            np.array([getattr(terms, name) for _, terms in numbered], dtype=np.int64)
            for name in ("base_asset_id", "quote_asset_id", "lot_size", "unit_factor")
        )
    )
    found = trade_entries(events, columns)
    wanted = entries_of(expected)
    for name in ("seq", "n", "asset_id", "kind", "owner_id", "amount_units"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name


def allocated(**changes: int) -> Allocated:
    names = EVENTS[EventKind.ALLOCATED].names
    values = {"seq": 8, "account_id": BOB, "owner_account_id": ALICE, "step": AllocationStep.FILLED}
    return Allocated(**(dict.fromkeys(names, 0) | values | changes))


def test_a_sub_account_that_bought_gets_it_from_the_owner_of_the_block_order() -> None:
    """0.5 BTC at 50,950 USDT; its part of the fee is 0.0005 BTC."""
    fill = allocated(price_ticks=5_095_000, quantity_lots=50_000, fee_units=50_000, side=Side.BUY)
    assert allocation_postings(fill, TERMS) == [
        Posting(0, QUOTE, USER, ALICE, 2_547_500_000_000),
        Posting(1, QUOTE, USER, BOB, -2_547_500_000_000),
        Posting(2, BASE, USER, ALICE, -50_000_000 + 50_000),
        Posting(3, BASE, USER, BOB, 50_000_000 - 50_000),
    ]


@pytest.mark.parametrize(
    ("side", "fee", "quote", "base"),
    [
        (Side.SELL, 700, 1_000_000 - 700, -100_000),
        (Side.SELL, -7, 1_000_000, -100_000 + 7),  # a selling maker's rebate comes in base
        (Side.BUY, -7, -1_000_000 + 7, 100_000),
    ],
)
def test_fee_and_rebate_of_a_sub_account(side: Side, fee: int, quote: int, base: int) -> None:
    fill = allocated(price_ticks=1_000, quantity_lots=100, fee_units=fee, side=side)
    assert [posting.amount_units for posting in allocation_postings(fill, TERMS)] == [-quote, quote, -base, base]


def test_steps_without_money_and_the_owners_own_share_make_no_entries() -> None:
    for step in set(AllocationStep) - {AllocationStep.FILLED}:
        assert allocation_postings(allocated(step=step, price_ticks=1, quantity_lots=1), TERMS) == []
    assert allocation_postings(allocated(account_id=ALICE, price_ticks=1, quantity_lots=1), TERMS) == []


@given(
    st.lists(
        st.builds(
            allocated, price_ticks=st.integers(1, 10**7), quantity_lots=st.integers(1, 10**6),
            fee_units=st.integers(-(10**6), 10**6), side=st.sampled_from(Side),
            account_id=st.integers(ALICE, ALICE + 3),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_both_forms_of_allocations_are_equal_and_each_sums_to_zero(drawn: list[Allocated]) -> None:
    from dataclasses import replace

    events = [replace(event, seq=seq) for seq, event in enumerate(drawn, start=11)]
    expected = [(event.seq, posting) for event in events for posting in allocation_postings(event, TERMS)]
    assert all(set(totals(allocation_postings(event, TERMS)).values()) <= {0} for event in events)
    rows = np.frombuffer(
        b"".join(encode_event(event) for event in events),
        dtype=np.dtype(EVENTS[EventKind.ALLOCATED].numpy_fields()),
    )
    terms = Terms(*(np.full(len(events), value, dtype=np.int64) for value in (BASE, QUOTE, 1_000, 10)))
    found, wanted = allocation_entries(rows, terms), entries_of(expected)
    for name in ("seq", "n", "asset_id", "kind", "owner_id", "amount_units"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(-(2**62), 2**62)), max_size=30))
def test_sums_by_key_pair(rows: list[tuple[int, int, int]]) -> None:
    expected: dict[tuple[int, int], list[int]] = {}
    for seq, (first, second, amount) in enumerate(rows):
        entry = expected.setdefault((first, second), [0, 0])
        entry[0], entry[1] = entry[0] + amount, seq
    columns = [np.array([row[position] for row in rows], dtype=np.int64) for position in range(3)]
    found = summed(*columns, np.arange(len(rows), dtype=np.int64))
    wrapped = {key: ((total + 2**63) % 2**64 - 2**63, seq) for key, (total, seq) in expected.items()}
    assert {(a, b): (c, d) for a, b, c, d in zip(*(part.tolist() for part in found), strict=True)} == wrapped
    assert list(zip(found[0].tolist(), found[1].tolist(), strict=True)) == sorted(expected)


def test_merging_keeps_the_order_of_seq() -> None:
    one = entries_of([(5, Posting(0, 1, USER, 1, 3)), (5, Posting(1, 1, USER, 2, -3))])
    other = entries_of([(4, Posting(0, 1, USER, 1, 9)), (9, Posting(0, 1, USER, 1, -9))])
    assert merged(one, other).seq.tolist() == [4, 5, 5, 9]
