"""What settled events make of PostgreSQL: worked numbers, netting over batches, and refusals that change nothing."""

from dataclasses import replace

import psycopg
import pytest
from django.db.models import Sum

from apps.ledger.models import Balance, Entry, HouseTotal, OwnerKind
from apps.markets.models import Asset, Market
from apps.matching.models import Watermark
from apps.orders.errors import OtherSettlement, SettlementStopped
from apps.orders.models import MarketUnits, Order, Trade
from apps.orders.settlement.entries import Position, take
from apps.orders.settlement.transaction import load_markets, read_position, settle
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.base import EventEntry
from apps.streams.commands import Strategy
from apps.streams.events import InternalReject, MarketStateChanged
from apps.streams.kinds import AcceptedFlag, CommandKind, HaltCause, MarketState, OrderStatus, Reason, Side, StpMode
from apps.streams.records import EVENT_SIZE
from tests.orders.recorded import ALICE, BOB, CAROL, SHARD, Recorded
from tests.orders.tape import BTC, MARKET, USDT, market_settings


def balances() -> dict[tuple[int, int], tuple[int, int]]:
    return {(row.account_id, row.asset_id): (row.available_units, row.held_units) for row in Balance.objects.all()}


def house() -> dict[tuple[int, int], int]:
    return {(row.kind, row.asset_id): row.posted_units for row in HouseTotal.objects.all()}


def assert_trial_balance() -> None:
    """Everything sums to zero per asset, and every balance is what its entries add up to."""
    for row in Entry.objects.values("asset_id").annotate(total=Sum("amount_units")):
        assert row["total"] == 0, row
    posted = {
        (row["owner_id"], row["asset_id"]): row["total"]
        for row in Entry.objects.filter(kind=OwnerKind.USER)
        .values("owner_id", "asset_id")
        .annotate(total=Sum("amount_units"))
    }
    assert {key: value for key, value in posted.items() if value} == {
        key: sum(value) for key, value in balances().items() if sum(value)
    }
    totals = {
        (row["kind"], row["asset_id"]): row["total"]
        for row in Entry.objects.exclude(kind=OwnerKind.USER)
        .values("kind", "asset_id")
        .annotate(total=Sum("amount_units"))
    }
    assert totals == house()


def play_t2(recorded: Recorded) -> None:
    """Bids 50,950 x 0.5, 50,940 x 1.0 and 50,930 x 2.5; a sale of 0.7 prints 0.5 and 0.2 (T2)."""
    tape = recorded.tape
    recorded.fund(ALICE, usdt=300_000)
    recorded.fund(BOB, btc=2)
    tape.accept(1, ALICE, Side.BUY, 5_095_000, 50_000)
    tape.accept(2, ALICE, Side.BUY, 5_094_000, 100_000)
    tape.accept(3, ALICE, Side.BUY, 5_093_000, 250_000)
    tape.cut()
    tape.accept(4, BOB, Side.SELL, 5_094_000, 70_000)
    tape.trade(1, 4, 50_000)
    tape.trade(2, 4, 20_000)
    tape.cut()


def test_the_worked_example_to_the_last_unit(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    # Bob sold 0.5 at 50,950 and 0.2 at 50,940 = 35,663 USDT, less 0.1 %; Alice bought 0.7 BTC, less 0.08 %.
    assert balances() == {
        (ALICE, USDT): (300_000_00000000 - 35_663_00000000 - 40_752_00000000 - 127_325_00000000,
                        40_752_00000000 + 127_325_00000000),
        (ALICE, BTC): (70_000_000 - 56_000, 0),
        (BOB, USDT): (35_663_00000000 - 35_66300000, 0),
        (BOB, BTC): (130_000_000, 0),
    }  # fmt: skip
    assert house() == {
        (OwnerKind.EXTERNAL, USDT): -300_000_00000000,
        (OwnerKind.EXTERNAL, BTC): -200_000_000,
        (OwnerKind.SAFU, USDT): 3_56630000,
        (OwnerKind.FEES, USDT): 32_09670000,
        (OwnerKind.SAFU, BTC): 5_600,
        (OwnerKind.FEES, BTC): 50_400,
    }
    rows = Order.objects.order_by("id").values_list("id", "filled_lots", "filled_quote_units", "status", "seq")
    assert list(rows) == [
        (1, 50_000, 25_475_00000000, OrderStatus.FILLED, 9),
        (2, 20_000, 10_188_00000000, OrderStatus.PARTIALLY_FILLED, 10),
        (3, 0, 0, OrderStatus.NEW, 7),
        (4, 70_000, 35_663_00000000, OrderStatus.FILLED, 10),
    ]
    first, second = Trade.objects.order_by("trade_id")
    assert (first.id, first.market_id, first.price_ticks, first.quantity_lots, first.quote_units) == (
        9, MARKET, 5_095_000, 50_000, 25_475_00000000,
    )  # fmt: skip
    assert (second.maker_order_id, second.taker_order_id, second.taker_is_buyer) == (2, 4, False)
    assert (second.maker_account_id, second.taker_account_id, second.seq) == (ALICE, BOB, 10)
    assert (second.taker_fee_units, second.maker_fee_units) == (10_18800000, 16_000)
    assert_trial_balance()


def test_the_order_row_carries_everything_the_event_says(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=100_000)
    recorded.tape.accept(1, ALICE, Side.BUY, 5_000_000, 100, client_id="x" * 36)
    created = recorded.tape.ms
    recorded.tape.cut()
    recorded.tape.accept(2, ALICE, Side.BUY, 5_000_001, 200, client_id="y")
    recorded.tape.close(1, OrderStatus.CANCELED, Reason.CANCELED_BY_USER)
    closed = recorded.tape.ms
    recorded.settle()
    row = Order.objects.get(id=1)
    assert (row.client_order_id, row.market_id, row.account_id, row.side) == ("x" * 36, MARKET, ALICE, Side.BUY)
    assert (row.price_ticks, row.quantity_lots, row.budget_units, row.kind, row.time_in_force) == (
        5_000_000,
        100,
        0,
        1,
        1,
    )
    assert (row.status, row.reason, row.created_ms, row.updated_ms) == (
        OrderStatus.CANCELED, Reason.CANCELED_BY_USER, created, closed,
    )  # fmt: skip
    assert Order.objects.get(id=2).client_order_id == "y"


@pytest.mark.parametrize("events_max", [1, 3, 20_000])
def test_batch_cuts_never_matter(recorded: Recorded, events_max: int) -> None:
    play_t2(recorded)
    recorded.tape.close(2, OrderStatus.CANCELED, Reason.CANCELED_BY_USER)
    recorded.tape.cut()
    recorded.tape.close(3, OrderStatus.CANCELED, Reason.CANCELED_BY_USER)
    recorded.settle(events_max=events_max)
    assert balances()[ALICE, USDT] == (300_000_00000000 - 35_663_00000000, 0)
    assert Order.objects.get(id=2).filled_lots == 20_000
    assert set(Order.objects.filter(id__in=[2, 3]).values_list("status", flat=True)) == {OrderStatus.CANCELED}
    assert_trial_balance()


@pytest.mark.parametrize("events_max", [1, 20_000])
def test_what_a_prevented_match_takes_off_is_neither_filled_nor_open(recorded: Recorded, events_max: int) -> None:
    recorded.fund(ALICE, usdt=60_000, btc=1)
    recorded.fund(BOB, btc=1)
    tape = recorded.tape
    tape.accept(1, ALICE, Side.SELL, 5_000_000, 50_000)
    tape.cut()
    tape.accept(2, ALICE, Side.BUY, 5_000_000, 20_000)
    tape.prevent(1, 2, 20_000, StpMode.DECREMENT)
    tape.close(2, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    tape.cut()
    tape.accept(3, ALICE, Side.BUY, 4_900_000, 100_000)
    tape.accept(4, BOB, Side.SELL, 4_900_000, 10_000)
    tape.trade(3, 4, 10_000)
    tape.cut()
    tape.accept(5, ALICE, Side.SELL, 4_900_000, 1_000)
    tape.prevent(3, 5, 1_000, StpMode.EXPIRE_TAKER)  # takes nothing off
    tape.close(5, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    tape.cut()
    tape.accept(6, ALICE, Side.SELL, 4_900_000, 5_000)
    tape.prevent(3, 6, 5_000, StpMode.DECREMENT)
    tape.close(6, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    recorded.settle(events_max=events_max)
    rows = Order.objects.order_by("id").values_list("id", "filled_lots", "prevented_lots", "status", "reason")
    assert list(rows) == [
        (1, 0, 20_000, OrderStatus.NEW, 0),
        (2, 0, 20_000, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE),
        (3, 10_000, 5_000, OrderStatus.PARTIALLY_FILLED, 0),
        (4, 10_000, 0, OrderStatus.FILLED, 0),
        (5, 0, 0, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE),
        (6, 0, 5_000, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE),
    ]
    # 0.3 BTC of order 1 and 0.85 x 49,000 USDT of order 3 are still held.
    assert balances()[ALICE, BTC][1] == 30_000_000
    assert balances()[ALICE, USDT] == (60_000_00000000 - 4_900_00000000 - 41_650_00000000, 41_650_00000000)
    assert_trial_balance()


@pytest.mark.parametrize("events_max", [1, 20_000])
def test_an_amended_order_has_its_new_quantity_and_keeps_its_fills(recorded: Recorded, events_max: int) -> None:
    recorded.fund(ALICE, usdt=60_000)
    recorded.fund(BOB, btc=1)
    tape = recorded.tape
    tape.accept(1, ALICE, Side.BUY, 5_000_000, 100_000)
    tape.accept(2, ALICE, Side.BUY, 4_000_000, 10_000)
    tape.amend(2, 9_000)
    tape.amend(2, 8_000)
    tape.cut()
    tape.accept(3, BOB, Side.SELL, 5_000_000, 30_000)
    tape.trade(1, 3, 30_000)
    tape.cut()
    tape.amend(1, 50_000)
    recorded.settle(events_max=events_max)
    rows = Order.objects.order_by("id").values_list("id", "quantity_lots", "filled_lots", "status")
    assert list(rows) == [
        (1, 50_000, 30_000, OrderStatus.PARTIALLY_FILLED),
        (2, 8_000, 0, OrderStatus.NEW),
        (3, 30_000, 30_000, OrderStatus.FILLED),
    ]
    held = 50_000_00000000 // 100 * 20 + 40_000_00000000 // 100 * 8
    assert balances()[ALICE, USDT] == (60_000_00000000 - 15_000_00000000 - held, held)
    assert_trial_balance()


@pytest.mark.parametrize("events_max", [1, 20_000])
def test_strategies_stand_in_the_rows_of_the_orders_that_have_them(recorded: Recorded, events_max: int) -> None:
    tape = recorded.tape
    recorded.fund(ALICE, usdt=300_000)
    recorded.fund(BOB, btc=2)
    both = AcceptedFlag.STRATEGY_ID | AcceptedFlag.STRATEGY_TYPE
    given = {
        1: Strategy(strategy_id=2**63 - 1, strategy_type=2**32 - 1, given=both),
        2: Strategy(given=0),
        3: Strategy(strategy_id=0, given=AcceptedFlag.STRATEGY_ID),
        4: Strategy(strategy_type=1_000_000, given=AcceptedFlag.STRATEGY_TYPE),
    }
    for order_id, strategy in given.items():
        tape.accept(order_id, ALICE, Side.BUY, 5_000_000, 1_000, strategy=strategy)
    tape.accept(5, BOB, Side.SELL, 5_000_000, 1_500, stop=4_000_000, strategy=given[1])
    tape.trade(1, 5, 1_000)
    recorded.settle(events_max=events_max)
    assert list(Order.objects.order_by("id").values_list("id", "strategy_id", "strategy_type")) == [
        (1, 2**63 - 1, 2**32 - 1), (2, None, None), (3, 0, None), (4, None, 1_000_000), (5, 2**63 - 1, 2**32 - 1),
    ]  # fmt: skip
    assert_trial_balance()


@pytest.mark.parametrize("events_max", [1, 20_000])
def test_a_stop_waits_until_it_is_triggered_and_works_from_then_on(recorded: Recorded, events_max: int) -> None:
    recorded.fund(ALICE, usdt=60_000)
    recorded.fund(BOB, btc=1)
    tape = recorded.tape
    tape.accept(1, ALICE, Side.BUY, 5_000_000, 30_000)
    for order_id in (2, 3, 4):
        tape.accept(order_id, BOB, Side.SELL, 4_900_000, 10_000, stop=5_000_000)
    tape.close(4, OrderStatus.CANCELED)
    tape.cut()
    triggered_ms = tape.ms
    tape.accept(5, BOB, Side.SELL, 5_000_000, 10_000)
    tape.trade(1, 5, 10_000)
    tape.trigger(2, 5_000_000, 5_000_000)
    tape.trigger(3, 5_000_000, 5_000_000)
    tape.trade(1, 2, 10_000)
    tape.cut()
    # All in one entry: accepted and triggered at once.
    tape.accept(6, BOB, Side.SELL, 4_900_000, 10_000, stop=5_000_000)
    tape.trigger(6, 5_000_000, 5_000_000)
    recorded.settle(events_max=events_max)
    rows = Order.objects.order_by("id").values_list("id", "stop_price_ticks", "is_waiting", "working_ms", "status")
    assert list(rows) == [
        (1, 0, False, 0, OrderStatus.PARTIALLY_FILLED),
        (2, 5_000_000, False, triggered_ms, OrderStatus.FILLED),
        (3, 5_000_000, False, triggered_ms, OrderStatus.NEW),
        (4, 5_000_000, True, 0, OrderStatus.CANCELED),
        (5, 0, False, 0, OrderStatus.FILLED),
        (6, 5_000_000, False, triggered_ms + 7, OrderStatus.NEW),
    ]
    assert_trial_balance()


def test_a_rebate_is_booked_in_the_takers_asset(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=60_000)
    recorded.fund(BOB, btc=1)
    recorded.tape.accept(1, ALICE, Side.BUY, 5_094_000, 20_000)
    recorded.tape.accept(2, BOB, Side.SELL, 5_094_000, 20_000)
    recorded.tape.trade(1, 2, 20_000, maker_ppm=-200)
    recorded.settle()
    assert balances()[ALICE, USDT] == (60_000_00000000 - 10_188_00000000 + 2_03760000, 0)
    assert balances()[ALICE, BTC] == (20_000_000, 0)
    assert house()[OwnerKind.FEES, USDT] == 10_18800000 - 1_01880000 - 2_03760000
    assert (OwnerKind.SAFU, BTC) not in house()
    assert_trial_balance()


def test_holds_transfers_and_captures(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=100)
    tape, unit = recorded.tape, 10**8
    for position, (op, amount, to) in enumerate(
        [
            (CommandKind.HOLD, 40 * unit, 0),
            (CommandKind.CAPTURE, 15 * unit, 0),
            (CommandKind.TRANSFER, 20 * unit, CAROL),
            (CommandKind.HOLD, 30 * unit, 0),
            (CommandKind.CAPTURE, 10 * unit, CAROL),
            (CommandKind.HOLD, 5 * unit, 0),
            (CommandKind.RELEASE, 5 * unit, 0),
        ]
    ):
        row = recorded.money_row(f"money:{position}", op)
        tape.money(op, ALICE, USDT, amount, row, f"money:{position}", to=to)
    recorded.withdraw(ALICE, USDT, 5 * unit)
    recorded.settle()
    assert balances() == {(ALICE, USDT): (50 * unit, 0), (CAROL, USDT): (30 * unit, 0)}
    assert house() == {(OwnerKind.EXTERNAL, USDT): -80 * unit}
    assert_trial_balance()


def test_outbox_rows_end_as_their_events_say(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=1)
    refused = recorded.money_row("take:too-much")
    recorded.tape.refuse(CommandKind.DEBIT, Reason.INSUFFICIENT_BALANCE, refused, "take:too-much")
    skipped = recorded.money_row("poison")
    recorded.tape.write(InternalReject, relay_seq=skipped, source=1, op=CommandKind.DEBIT)
    waiting = recorded.money_row("still-on-its-way")
    recorded.settle()
    ends = {row.key: (row.state, row.reason, row.event_seq) for row in OutboxRow.objects.all()}
    assert ends["market:1:settings:1"] == (OutboxState.DONE, Reason.NONE, 1)
    assert ends["take:too-much"] == (OutboxState.REFUSED, Reason.INSUFFICIENT_BALANCE, 4)
    assert ends["poison"] == (OutboxState.REFUSED, Reason.INTERNAL, 5)
    assert ends["still-on-its-way"] == (OutboxState.WAITING, Reason.NONE, None)
    assert OutboxRow.objects.get(relay_seq=waiting).settled_at is None


def list_market(recorded: Recorded) -> None:
    for asset, code in ((BTC, "BTC"), (USDT, "USDT")):
        Asset.objects.create(id=asset, code=code, name=code)
    settings = {
        name: getattr(recorded.tape.settings, name)
        for name in recorded.tape.settings.__struct_fields__
        if name != "market_id"
    }
    Market.objects.create(id=MARKET, **settings)


def test_the_market_mirror_follows(recorded: Recorded) -> None:
    list_market(recorded)
    recorded.settle()
    assert Market.objects.get(id=MARKET).state == MarketState.OPEN


@pytest.mark.parametrize(
    ("cause", "state", "shown"),
    [
        (HaltCause.POISON, MarketState.CANCEL_ONLY, "Commands failed"),
        (HaltCause.CLOCK, MarketState.HALTED, "Clock jumped"),
        (HaltCause.INVARIANT, MarketState.CANCEL_ONLY, "Broken invariant"),
    ],
)
def test_a_stop_that_nobody_sent_through_the_outbox_is_mirrored(
    recorded: Recorded, cause: HaltCause, state: MarketState, shown: str
) -> None:
    """The engine's own stop, behind the third skipped command, and the worker's: no outbox row waits for them."""
    list_market(recorded)
    recorded.tape.write(
        InternalReject, relay_seq=0, source=0, op=CommandKind.PLACE_ORDER, market_id=MARKET, reason=Reason.INTERNAL
    )
    recorded.tape.write(
        MarketStateChanged, relay_seq=0, source=0, market_id=MARKET, old_state=MarketState.OPEN, new_state=state,
        cause=cause, until_ms=0,
    )  # fmt: skip
    recorded.settle()
    market = Market.objects.get(id=MARKET)
    assert (market.state, market.state_cause, market.get_state_cause_display()) == (state, cause, shown)
    market.full_clean()


def test_new_settings_count_from_their_event_on(recorded: Recorded) -> None:
    """One batch with trades before and after a change of lot and tick size."""
    recorded.fund(ALICE, usdt=100_000)
    recorded.fund(BOB, btc=1)
    tape = recorded.tape
    tape.accept(1, ALICE, Side.BUY, 5_000_000, 1_000)
    tape.accept(2, BOB, Side.SELL, 5_000_000, 1_000)
    tape.trade(1, 2, 1_000)
    recorded.change_settings(market_settings(settings_version=2, lot_size=100_000, tick_size=10_000_000))
    tape.accept(3, ALICE, Side.BUY, 500_000, 10)
    tape.accept(4, BOB, Side.SELL, 500_000, 10)
    tape.trade(3, 4, 10)
    recorded.settle()
    assert list(Trade.objects.order_by("id").values_list("quote_units", flat=True)) == [500_00000000, 500_00000000]
    assert MarketUnits.objects.get(market_id=MARKET).lot_size == 100_000
    assert_trial_balance()


# -- Refusals: the process stops, and nothing has changed --------------------------------------------------------------


def state_of_record() -> list[object]:
    return [
        balances(),
        house(),
        list(Order.objects.order_by("id").values()),
        list(Trade.objects.order_by("id").values()),
        Entry.objects.count(),
        list(Watermark.objects.values("seq", "chain", "epoch")),
        list(OutboxRow.objects.order_by("id").values("id", "state")),
    ]


def refuse(recorded: Recorded, error: type[Exception], match: str) -> None:
    """Settling what stands on the tape fails, and the record is as before."""
    before = state_of_record()
    with pytest.raises(error, match=match):
        recorded.settle()
    assert state_of_record() == before


def test_a_balance_that_its_entries_do_not_explain(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    recorded.tape.balances[ALICE, USDT][0] += 1
    recorded.tape.close(2, OrderStatus.CANCELED)
    refuse(recorded, psycopg.errors.CheckViolation, "ledger_balance_is_posted")


def test_a_negative_balance(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=1)
    recorded.withdraw(ALICE, USDT, 2 * 10**8)
    refuse(recorded, psycopg.errors.CheckViolation, "ledger_balance_not_negative")


def test_an_order_that_closes_with_other_fills_than_its_trades(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    recorded.tape.close(2, OrderStatus.CANCELED, filled_lots=20_001)
    refuse(recorded, SettlementStopped, "1 orders .* 0 have a row")


def test_the_same_within_one_batch(recorded: Recorded) -> None:
    recorded.fund(ALICE, usdt=100_000)
    recorded.tape.accept(1, ALICE, Side.BUY, 5_000_000, 100)
    recorded.tape.close(1, OrderStatus.CANCELED, filled_lots=1)
    refuse(recorded, SettlementStopped, "order 1 closed with other fills")


def test_a_fill_of_an_order_nobody_placed(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    recorded.tape.orders[99] = replace(recorded.tape.orders[3], id=99)
    recorded.tape.close(99, OrderStatus.CANCELED)
    refuse(recorded, SettlementStopped, "1 orders")


def test_a_trade_id_that_exists(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    recorded.tape._trades = 0
    recorded.tape.accept(5, BOB, Side.SELL, 5_093_000, 100)
    recorded.tape.trade(3, 5, 100)
    refuse(recorded, psycopg.errors.UniqueViolation, "orders_trade_unique")


def test_an_order_id_that_exists(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    recorded.tape.accept(3, ALICE, Side.BUY, 5_000_000, 1)
    refuse(recorded, psycopg.errors.UniqueViolation, "orders_order_pkey")


def test_an_answer_to_a_command_that_was_never_sent(recorded: Recorded) -> None:
    recorded.settle()
    recorded.tape.refuse(CommandKind.DEBIT, Reason.INSUFFICIENT_BALANCE, 77, "nobody")
    refuse(recorded, SettlementStopped, "answer 1 relayed commands, but 0 outbox rows")


def test_settings_that_this_database_does_not_have(recorded: Recorded) -> None:
    recorded.settle()
    recorded.tape.apply_settings(77)
    refuse(recorded, SettlementStopped, "outbox row 1/77, which this database does not have")


def test_an_event_of_a_market_without_settings(recorded: Recorded) -> None:
    recorded.settle()
    recorded.tape.settings = market_settings(market_id=9)
    recorded.tape.balances[ALICE, USDT][0] = 10**15
    recorded.tape.accept(1, ALICE, Side.BUY, 5_000_000, 1)
    refuse(recorded, SettlementStopped, "market 9, which has no settings yet")


def test_a_second_settlement_process_stops(recorded: Recorded) -> None:
    play_t2(recorded)
    position = read_position(recorded.connection, SHARD)
    batch, _ = take(recorded.tape.cut(), position, events_max=3)
    markets = load_markets(recorded.connection, SHARD)
    recorded.settle()
    before = state_of_record()
    with pytest.raises(OtherSettlement):
        settle(recorded.connection, SHARD, batch, markets)
    assert state_of_record() == before


def flip(entry: EventEntry) -> EventEntry:
    body = bytearray(entry.body)
    body[EVENT_SIZE - 20] ^= 1
    return replace(entry, body=bytes(body))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: [entries[1], *entries[2:]], "settled up to 0, but the next entry begins at"),
        (lambda entries: [entries[0], *entries[2:]], "but the next entry begins at"),
        (lambda entries: [entries[0], replace(entries[1], prev_chain="0" * 64)], "follows '0000"),
        (lambda entries: [flip(entries[0]), *entries[1:]], "does not match its bytes"),
        (lambda entries: [replace(entries[0], epoch=2), *entries[1:]], "epoch falls from 2 to 1"),
    ],
)
def test_entries_that_do_not_join(recorded: Recorded, change: object, message: str) -> None:
    play_t2(recorded)
    entries = change(recorded.tape.cut())  # type: ignore[operator]
    with pytest.raises(SettlementStopped, match=message):
        take(entries, Position(0, "", 0), events_max=10**6)
