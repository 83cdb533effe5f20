"""The binary contract: sizes, frozen numbers, round trips, and every way in which bytes can be refused."""

import struct
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.streams import kinds
from apps.streams.codec import (
    decode_command,
    decode_event,
    decode_events,
    decode_settings,
    encode_block,
    encode_command,
    encode_event,
    encode_list,
    encode_replace,
    encode_set_asset,
    encode_set_market,
    iter_runs,
    stamp,
)
from apps.streams.commands import (
    COMMAND_RECORDS,
    CancelOrder,
    Command,
    PlaceBlock,
    PlaceList,
    PlaceOrder,
    ReplaceOrder,
    SetMarket,
    Strategy,
    Tick,
)
from apps.streams.events import EVENT_RECORDS, Event, OrderAccepted
from apps.streams.messages import AssetSettings, MarketSettings
from apps.streams.records import (
    COMMAND_HEADER,
    COMMANDS,
    CONTROL_HEAD_SIZE,
    EVENT_HEADER,
    EVENT_SIZE,
    EVENTS,
    FRAME_SIZE,
    MAX_PARTS,
    FrameError,
)
from tests.streams.examples import ASSET, MARKET

# Stored for ever. A line here is never changed; new kinds add lines.
FROZEN: dict[type, dict[str, int]] = {
    kinds.CommandKind: {
        "TICK": 1, "PLACE_ORDER": 2, "CANCEL_ORDER": 3, "CANCEL_ALL": 4, "AMEND_ORDER": 5, "REPLACE_ORDER": 6,
        "PLACE_LIST": 7, "SET_CANCEL_TIMER": 8, "PLACE_BLOCK": 9,
        "CREDIT": 10, "DEBIT": 11, "HOLD": 12, "RELEASE": 13, "CAPTURE": 14,
        "TRANSFER": 15, "SET_ASSET": 20, "SET_MARKET": 21, "SET_MARKET_STATE": 22,
        "SET_ACCOUNT": 23, "SET_ALLOCATION": 24, "REVIEW_ORDER": 25, "SET_CLASS_STATE": 26,
    },
    kinds.EventKind: {
        "ORDER_ACCEPTED": 1, "ORDER_REJECTED": 2, "ORDER_DUPLICATE": 3, "TRADE": 4, "ORDER_RESTED": 5,
        "ORDER_CLOSED": 6, "CANCEL_REJECTED": 7, "ALL_CANCELED": 8, "PREVENTED_MATCH": 9, "MONEY_MOVED": 10,
        "RELAY_REFUSED": 11, "SETTINGS_APPLIED": 20, "MARKET_STATE_CHANGED": 21, "INTERNAL_REJECT": 30,
        "ICEBERG_REFILLED": 40, "ORDER_TRIGGERED": 41, "ORDER_AMENDED": 42, "ORDER_PARKED": 43, "CANCEL_TIMER_SET": 45,
        "LIST_CHANGED": 44, "ALLOCATED": 46, "AUCTION_PRICE": 47, "HALT_DISTANCE": 48, "LIST_REJECTED": 50,
        "LIST_DUPLICATE": 51, "PENDING_ENTERED": 52,
        "AMEND_REJECTED": 49, "ORDER_REVIEWED": 53, "LEVEL_CHANGED": 56,
    },
    kinds.AllocationMethod: {"FIXED": 1, "EQUAL": 2, "PRO_RATA": 3},
    kinds.AllocationStep: {"HELD": 1, "FILLED": 2, "PREVENTED": 3, "RELEASED": 4},
    kinds.AllocatedFlag: {"TAKER": 1},
    kinds.AccountFlag: {"KEEP_FAMILY": 1},
    kinds.Side: {"BUY": 0, "SELL": 1},
    kinds.OrderKind: {
        "LIMIT": 1, "MARKET": 2, "LIMIT_MAKER": 3, "STOP_LOSS": 4, "STOP_LOSS_LIMIT": 5, "TAKE_PROFIT": 6,
        "TAKE_PROFIT_LIMIT": 7,
    },
    kinds.TimeInForce: {"NONE": 0, "GTC": 1, "IOC": 2, "FOK": 3, "GTD": 4},
    kinds.ReplaceMode: {"STOP_ON_FAILURE": 1, "ALLOW_FAILURE": 2},
    kinds.StpMode: {"EXPIRE_TAKER": 1, "EXPIRE_MAKER": 2, "EXPIRE_BOTH": 3, "DECREMENT": 4},
    kinds.Waiting: {"CONDITIONAL": 1, "PENDING": 2, "PARKED": 3, "TRIGGERED": 4},
    kinds.Review: {"RELEASE": 1, "REJECT": 2},
    kinds.MarketState: {
        "PRE_LAUNCH": 1, "OPEN": 2, "POST_ONLY": 3, "HALTED": 4, "AUCTION": 5, "CANCEL_ONLY": 6, "CLOSED": 7,
    },
    kinds.HaltCause: {
        "NONE": 0, "STAFF": 1, "INVARIANT": 2, "POISON": 3, "CLOCK": 4, "BREAKER": 5, "NO_AUCTION_PRICE": 6,
        "AUCTION_EXTENDED": 7,
    },
    kinds.BreakerMeasure: {"PRICE": 1, "VWAP": 2},
    kinds.OrderStatus: {
        "NEW": 1, "PARTIALLY_FILLED": 2, "FILLED": 3, "CANCELED": 4, "REJECTED": 5, "EXPIRED": 6,
        "EXPIRED_IN_MATCH": 7, "PENDING_NEW": 8,
    },
    kinds.Source: {"DIRECT": 0, "OUTBOX": 1},
    kinds.Counterparty: {"NONE": 0, "EXTERNAL": 1},
    kinds.TickFlag: {"SNAPSHOT": 1, "TAKEOVER": 2},
    kinds.AcceptedFlag: {"RESTED": 1, "WAITING": 2, "PENDING": 4, "STRATEGY_ID": 8, "STRATEGY_TYPE": 16},
    kinds.CancelFlag: {"ONLY_NEW": 1, "ONLY_PARTIALLY_FILLED": 2},
    kinds.EnteredFlag: {"WAITING": 1},
    kinds.ListKind: {"OCO": 1, "OTO": 2, "OTOCO": 3},
    kinds.ListStatus: {"EXEC_STARTED": 1, "UPDATED": 2, "ALL_DONE": 3},
    kinds.TimerFlag: {"FIRED": 1},
    kinds.TradeFlag: {"TAKER_IS_BUYER": 1, "MAKER_DONE": 2, "TAKER_DONE": 4, "AUCTION": 8},
    kinds.ClosedFlag: {"WAS_RESTING": 1},
}  # fmt: skip

# Where each field lies: a moved field would be read as something else by yesterday's log.
FROZEN_LAYOUTS = {
    "PlaceOrder": "<BBBBIQQIIqqqqqqIIBBBB36s",
    "CancelOrder": "<BBBBIQQIIQ36s36s",
    "Credit": "<BBBBIQQIIQHHIqQ64s",
    "Trade": "<BBBBIQQIIQQQQQQqqqqqqqqqqqqqq",
    "OrderAccepted": "<BBBBIQQIIQQqqqqqqqqqIBBBB36sqI",
    "OrderClosed": "<BBBBIQQIIQQqqqqqqqBBBB36s36sB",
    "PreventedMatch": "<BBBBIQQIIQQQQQqqBBqqqqqqq",
    "AmendOrder": "<BBBBIQQIIQq36s36s",
    "ReplaceOrder": "<BBBBIQQIIQ36s36sB",
    "PlaceList": "<BBBBIQQIIB36s",
    "ListChanged": "<BBBBIQQIIQQQQQBB36s",
    "ListRejected": "<BBBBIQQIIQBB36s",
    "ListDuplicate": "<BBBBIQQIIQQ36s",
    "PendingEntered": "<BBBBIQQIIQQQqqqBB36s",
    "PlaceBlock": "<BBBBIQQIIIH",
    "Allocated": "<BBBBIQQIIQQQQqqqqqqqqqBB",
    "OrderAmended": "<BBBBIQQIIQQqqqqqqqBBBB36s36s",
    "ReviewOrder": "<BBBBIQQIIQHQB",
    "OrderParked": "<BBBBIQQIIQQqqQB",
    "OrderReviewed": "<BBBBIQQIIQQHQB",
    "OrderTriggered": "<BBBBIQQIIQQqqqBB36s",
    "IcebergRefilled": "<BBBBIQQIIQQqqqB",
    "AuctionPrice": "<BBBBIQQIIQqq",
    "HaltDistance": "<BBBBIQQIIQqqHH",
    "LevelChanged": "<BBBBIQQIIQqqB",
    "SetClassState": "<BBBBIQQIIQH16sBB",
    "MarketStateChanged": "<BBBBIQQIIQQHBBBQQH",
    "MoneyMoved": "<BBBBIQQIIQQHHIqqqqQqqB64s",
}


@pytest.mark.parametrize("enum", FROZEN, ids=lambda enum: enum.__name__)
def test_numbers_are_frozen(enum: Any) -> None:
    assert {member.name: member.value for member in enum} == FROZEN[enum]


def test_reasons_keep_their_numbers() -> None:
    known = {
        "NONE": 0, "INSUFFICIENT_BALANCE": 1, "UNKNOWN_ORDER": 5, "DUPLICATE_CLIENT_ID": 7, "STALE_SETTINGS": 9,
        "OVERFLOW": 11, "PRICE_FILTER": 12, "MARKET_HALTED": 18, "SELF_TRADE": 21, "CANCELED_BY_USER": 24,
        "ENGINE_RESTARTED": 30, "INTERNAL": 31, "ENGINE_STOPPED": 35, "INVALID_STATE": 36, "EXPIRED_BY_TIME": 37,
        "EXPIRY_PASSED": 38, "WOULD_MATCH": 39, "ICEBERG_PARTS": 40, "AMEND_QUANTITY": 41, "CANCELED_BY_TIMER": 42,
        "WOULD_TRIGGER": 43, "HOLD_SPENT": 44, "TRAILING_DELTA": 45, "MAX_NUM_ALGO_ORDERS": 46, "NOT_AMENDABLE": 47,
        "PARK_EXPIRED": 70, "REJECTED_BY_STAFF": 71, "NOT_PARKED": 72, "MAX_NUM_ICEBERG_ORDERS": 73,
        "UNKNOWN_ALLOCATION": 77, "ALLOCATION_WEIGHTS": 78, "ALLOCATION_FAMILY": 79, "BLOCK_UNCHANGEABLE": 80,
        "CANCEL_RESTRICTED": 81, "MAX_NUM_ORDER_AMENDS": 82,
        "LIST_ENDED": 53, "LIST_LEGS": 54, "MAX_NUM_ORDER_LISTS": 55, "LIST_UNCHANGEABLE": 56,
    }  # fmt: skip
    assert {name: kinds.Reason[name].value for name in known} == known
    assert len({reason.value for reason in kinds.Reason}) == len(kinds.Reason)


@pytest.mark.parametrize("name", FROZEN_LAYOUTS)
def test_layouts_are_frozen(name: str) -> None:
    layouts = {layout.record.__name__: layout for layout in [*COMMANDS.values(), *EVENTS.values()]}
    layout = layouts[name]
    assert "<BB" + "".join(layout.codes) == FROZEN_LAYOUTS[name]


def test_sizes() -> None:
    assert (FRAME_SIZE, EVENT_SIZE, MAX_PARTS) == (128, 192, 8)
    assert all(layout.struct.size == FRAME_SIZE for layout in COMMANDS.values())
    assert all(layout.struct.size == EVENT_SIZE for layout in EVENTS.values())
    assert (COMMAND_HEADER.size, EVENT_HEADER.size, CONTROL_HEAD_SIZE) == (32, 40, 44)


def test_every_kind_has_one_record() -> None:
    assert set(COMMANDS) == set(kinds.CommandKind)
    assert set(EVENTS) == set(kinds.EventKind)
    assert len(COMMAND_RECORDS) == len(COMMANDS)
    assert len(EVENT_RECORDS) == len(EVENTS)


@pytest.mark.parametrize("layout", [*COMMANDS.values(), *EVENTS.values()], ids=lambda layout: layout.record.__name__)
def test_numpy_sees_the_same_fields_at_the_same_places(layout: Any) -> None:
    dtype = np.dtype(layout.numpy_fields())
    assert dtype.itemsize == layout.size
    at = 2
    for name, code in zip(layout.names, layout.codes, strict=True):
        assert dtype.fields is not None
        assert dtype.fields[name][1] == at
        at += struct.calcsize("<" + code)


# -- round trips ------------------------------------------------------------------------------------------------------
LIMITS = {"B": (0, 2**8 - 1), "H": (0, 2**16 - 1), "I": (0, 2**32 - 1), "Q": (0, 2**64 - 1), "q": (-(2**63), 2**63 - 1)}
ASCII = st.characters(min_codepoint=33, max_codepoint=126)


def records(record: type[Any], **fixed: object) -> st.SearchStrategy[Any]:
    hints = get_type_hints(record, include_extras=True)
    values: dict[str, st.SearchStrategy[Any]] = {}
    for field in fields(record):
        code = str(get_args(hints[field.name])[1])
        if field.name in fixed:
            values[field.name] = st.just(fixed[field.name])
        elif field.name == "strategy":
            values[field.name] = st.none()
        elif code.endswith("s"):
            values[field.name] = st.text(ASCII, max_size=int(code[:-1]))
        else:
            values[field.name] = st.integers(*LIMITS[code])
    return st.builds(record, **values)


@given(st.one_of([records(record, parts=1) for record in COMMAND_RECORDS]))
def test_commands_come_back(command: Command) -> None:
    frame = encode_command(command)
    assert len(frame) == FRAME_SIZE
    assert decode_command(frame) == command
    assert decode_command(b"x" * 5 + frame, 5) == command


@given(records(PlaceOrder, parts=1), records(Strategy))
def test_an_order_with_a_strategy_has_a_second_frame(order: PlaceOrder, strategy: Strategy) -> None:
    run = encode_command(replace(order, strategy=strategy))
    assert run[FRAME_SIZE:] == struct.pack("<qIB115x", strategy.strategy_id, strategy.strategy_type, strategy.given)
    assert run[:FRAME_SIZE] == encode_command(replace(order, parts=2))
    assert decode_command(b"x" * 5 + run, 5) == replace(order, parts=2, strategy=strategy)
    with pytest.raises(FrameError, match="no second frame"):
        decode_command(run[:FRAME_SIZE])


def test_runs_count_the_frames_of_their_orders() -> None:
    plain = PlaceOrder(market_id=1, account_id=2, side=0, order_kind=1)
    labelled = replace(plain, strategy=Strategy(strategy_id=7, given=kinds.AcceptedFlag.STRATEGY_ID))
    for orders in ((plain, plain), (labelled, plain), (labelled, labelled, labelled)):
        run = encode_list(PlaceList(list_kind=1), orders)
        assert run[2] == len(run) // FRAME_SIZE == 1 + sum(1 + (order is labelled) for order in orders)
        assert run[FRAME_SIZE:] == b"".join(map(encode_command, orders))
    assert encode_replace(ReplaceOrder(mode=1), labelled)[2] == 3
    assert encode_block(PlaceBlock(rule_id=1), labelled, [1] * 80)[2] == MAX_PARTS
    with pytest.raises(FrameError, match="9 frames"):
        encode_block(PlaceBlock(rule_id=1), labelled, [1] * 81)


@given(st.lists(st.one_of([records(record) for record in EVENT_RECORDS]), max_size=5))
def test_events_come_back(events: list[Event]) -> None:
    body = b"".join(encode_event(event) for event in events)
    assert decode_events(body) == events
    assert all(decode_event(body, n * EVENT_SIZE) == event for n, event in enumerate(events))


@pytest.mark.parametrize(
    "settings", [ASSET, MARKET, AssetSettings(asset_id=2**31 - 1, code="X" * 16)], ids=["asset", "market", "longest"]
)
def test_settings_come_back(settings: AssetSettings | MarketSettings) -> None:
    if isinstance(settings, AssetSettings):
        run = encode_set_asset(settings, relay_seq=2**64 - 1, source=1)
    else:
        run = encode_set_market(settings, relay_seq=2**64 - 1, source=1)
    head = decode_command(run)
    assert (head.relay_seq, head.source, head.parts * FRAME_SIZE) == (2**64 - 1, 1, len(run))
    assert decode_settings(run) == settings
    assert list(iter_runs(run * 2)) == [(0, len(run)), (len(run), len(run))]


def test_a_settings_run_may_hold_frames_that_look_like_anything() -> None:
    """Frames after the first are body bytes: a reader must jump over them by the run's length."""
    run = encode_set_market(MARKET, relay_seq=1, source=1)
    assert len(run) > 2 * FRAME_SIZE
    both = encode_command(Tick()) + run + encode_command(Tick())
    assert [length for _, length in iter_runs(both)] == [FRAME_SIZE, len(run), FRAME_SIZE]


@pytest.mark.parametrize("number", range(1, 4))
def test_stamps(number: int) -> None:
    run = encode_set_market(MARKET, relay_seq=1, source=1)
    frames = bytearray((encode_command(Tick()) + run) * number)
    assert stamp(frames, 1_700_000_000_123, 5, first_index=7) == 2 * number
    found = [decode_command(frames, offset) for offset, _ in iter_runs(frames)]
    assert [(c.entry_ms, c.entry_n, c.index) for c in found] == [
        (1_700_000_000_123, 5, 7 + n) for n in range(2 * number)
    ]
    at = FRAME_SIZE
    assert decode_settings(frames[at : at + len(run)]) == MARKET
    assert bytes(frames[at + 32 : at + len(run)]) == run[32:], "only the header is written to"


# -- refusals ---------------------------------------------------------------------------------------------------------
GOOD = encode_command(Tick())
ACCEPTED = {
    field.name: 0 if field.name != "client_id" else "" for field in fields(OrderAccepted) if field.name != "padding"
}
EVENT = encode_event(OrderAccepted(**ACCEPTED))


@pytest.mark.parametrize(
    "frames",
    [
        GOOD[:-1], GOOD + b"\0", b"x", GOOD * 3 + GOOD[:50],
        bytes([2]) + GOOD[1:], bytes([0]) + GOOD[1:],
        bytes([1, 0]) + GOOD[2:], bytes([1, 255]) + GOOD[2:], bytes([1, 16]) + GOOD[2:],
        bytes([1, 1, 0]) + GOOD[3:], bytes([1, 1, 2]) + GOOD[3:], (bytes([1, 1, 9]) + GOOD[3:]) * 9,
        GOOD + bytes([1, 21, 8]) + GOOD[3:],
    ],
)  # fmt: skip
def test_bad_framing(frames: bytes) -> None:
    with pytest.raises(FrameError):
        list(iter_runs(frames))
    with pytest.raises(FrameError):
        stamp(bytearray(frames), 1, 1)


@pytest.mark.parametrize("head", [bytes([2, 1]), bytes([1, 99]), bytes([0, 0])])
def test_unknown_versions_and_kinds(head: bytes) -> None:
    with pytest.raises(FrameError, match="unknown command"):
        decode_command(head + GOOD[2:])
    with pytest.raises(FrameError, match="unknown event"):
        decode_event(head + EVENT[2:])


@pytest.mark.parametrize("body", [EVENT[:-1], EVENT + b"\0", b"\1"])
def test_bodies_that_are_not_whole_events(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode_events(body)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", b"\x93\1\2\3", b"\x82\xa8asset_id\1\xa4code\1"])
def test_settings_bodies_that_are_none(body: bytes) -> None:
    run = bytearray(encode_set_market(MARKET, relay_seq=1, source=1))
    head = decode_command(run)
    run[:FRAME_SIZE] = encode_command(
        SetMarket(parts=head.parts, market_id=3, relay_seq=1, source=1, body_length=len(body))
    )
    run[CONTROL_HEAD_SIZE : CONTROL_HEAD_SIZE + len(body)] = body
    with pytest.raises(FrameError, match="settings body"):
        decode_settings(bytes(run))


def test_a_command_without_settings_has_no_body() -> None:
    with pytest.raises(FrameError, match="TICK has no settings body"):
        decode_settings(GOOD)


@pytest.mark.parametrize("text", ["a" * 37, "ü"])
def test_texts_that_do_not_fit(text: str) -> None:
    with pytest.raises(FrameError, match="client_id"):
        encode_command(CancelOrder(client_id=text))


@pytest.mark.parametrize("field", ["price_ticks", "quantity_lots", "market_id", "account_id"])
def test_numbers_that_do_not_fit(field: str) -> None:
    with pytest.raises(struct.error):
        encode_command(PlaceOrder(side=0, order_kind=1, **{field: 2**64}))


def test_settings_that_do_not_fit_into_a_run() -> None:
    from msgspec.structs import replace

    with pytest.raises(FrameError, match="at most 8"):
        encode_set_market(replace(MARKET, fees=[(2**31, 2**31)] * 200), relay_seq=1, source=1)
