"""The histories reach everything: each kind of event with each reason, status, cause and command that exists.

The table is complete both ways: what it names must occur, and nothing else may.
"""

from collections import Counter

import pytest

from apps.streams.codec import decode_events
from apps.streams.kinds import (
    AllocationStep,
    CommandKind,
    EventKind,
    HaltCause,
    ListStatus,
    OrderKind,
    OrderStatus,
    Reason,
    StpMode,
    TimeInForce,
)
from tests.oracle.agreement import answer
from tests.oracle.engines import ENGINES
from tests.oracle.streams import History

SEEDS = range(40)
COMMANDS = 2_000

# Which reasons an event has, each with what else tells its cases apart: a status, a cause, or the command.
NEW_ORDER_REFUSED = """
    INSUFFICIENT_BALANCE UNKNOWN_ACCOUNT UNKNOWN_MARKET DUPLICATE_CLIENT_ID STALE_SETTINGS MALFORMED OVERFLOW
    PRICE_FILTER LOT_SIZE NOTIONAL PERCENT_PRICE MAX_NUM_ORDERS MAX_NUM_ICEBERG_ORDERS
    MARKET_NOT_OPEN MARKET_HALTED MARKET_CANCEL_ONLY
    MARKET_CLOSED MARKET_LOT_SIZE MARKET_POST_ONLY EXPIRY_PASSED WOULD_MATCH ICEBERG_PARTS WOULD_TRIGGER
    MAX_NUM_ALGO_ORDERS TRAILING_DELTA UNKNOWN_ALLOCATION ALLOCATION_WEIGHTS ALLOCATION_FAMILY MARKET_AUCTION
"""
ENDS = """
    FILLED:BUDGET_SPENT CANCELED:CANCELED_BY_USER CANCELED:CANCELED_BY_STAFF CANCELED:CANCELED_BY_TIMER
    EXPIRED:EXPIRED_BY_TIME EXPIRED:NO_LIQUIDITY EXPIRED_IN_MATCH:SELF_TRADE EXPIRED:PARK_EXPIRED
    REJECTED:REJECTED_BY_STAFF EXPIRED:BREAKER EXPIRED:LIST_ENDED EXPIRED:HOLD_SPENT
    EXPIRED:PERCENT_PRICE EXPIRED:NOTIONAL
"""
RELAYED_REFUSED = """
    CREDIT:MALFORMED CREDIT:OVERFLOW CREDIT:UNKNOWN_ASSET
    DEBIT:INSUFFICIENT_BALANCE DEBIT:MALFORMED DEBIT:UNKNOWN_ACCOUNT DEBIT:UNKNOWN_ASSET
    HOLD:DUPLICATE_HOLD HOLD:INSUFFICIENT_BALANCE HOLD:MALFORMED HOLD:UNKNOWN_ACCOUNT HOLD:UNKNOWN_ASSET
    RELEASE:MALFORMED RELEASE:UNKNOWN_HOLD
    CAPTURE:CAPTURE_ABOVE_HOLD CAPTURE:MALFORMED CAPTURE:UNKNOWN_HOLD
    TRANSFER:INSUFFICIENT_BALANCE TRANSFER:MALFORMED TRANSFER:UNKNOWN_ACCOUNT TRANSFER:UNKNOWN_ASSET
    SET_ACCOUNT:ACCOUNT_HAS_ORDERS SET_ACCOUNT:MALFORMED
    SET_ALLOCATION:ALLOCATION_FAMILY SET_ALLOCATION:INVALID_SETTINGS
    SET_ASSET:INVALID_SETTINGS SET_CLASS_STATE:MALFORMED SET_MARKET_STATE:BOOK_CROSSED
    SET_MARKET:INVALID_SETTINGS SET_MARKET:MARKET_IN_USE SET_MARKET:STALE_SETTINGS SET_MARKET:UNKNOWN_ASSET
    REVIEW_ORDER:MALFORMED REVIEW_ORDER:NOT_PARKED REVIEW_ORDER:UNKNOWN_ORDER
    SET_MARKET_STATE:INVALID_STATE SET_MARKET_STATE:MALFORMED SET_MARKET_STATE:UNKNOWN_MARKET
"""
AMEND_REFUSED = """
    UNKNOWN_ORDER MALFORMED AMEND_QUANTITY LOT_SIZE NOTIONAL NOT_AMENDABLE BLOCK_UNCHANGEABLE LIST_UNCHANGEABLE
    MAX_NUM_ORDER_AMENDS
"""
# What a history comes to once in a hundred thousand commands.
RARE = {
    EventKind.ORDER_CLOSED: """
        EXPIRED:PRICE_FILTER EXPIRED:LOT_SIZE EXPIRED:MARKET_LOT_SIZE EXPIRED:ICEBERG_PARTS EXPIRED:OVERFLOW
        EXPIRED:INSUFFICIENT_BALANCE EXPIRED:WOULD_MATCH EXPIRED:WOULD_TRIGGER EXPIRED:MAX_NUM_ALGO_ORDERS
        EXPIRED:TRAILING_DELTA EXPIRED:MAX_NUM_ORDERS EXPIRED:MAX_NUM_ICEBERG_ORDERS
    """,
    EventKind.RELAY_REFUSED: """
        REVIEW_ORDER:MARKET_HALTED REVIEW_ORDER:MARKET_POST_ONLY REVIEW_ORDER:MARKET_CANCEL_ONLY
        SET_CLASS_STATE:INVALID_STATE SET_CLASS_STATE:UNKNOWN_CLASS REVIEW_ORDER:MARKET_AUCTION
        CAPTURE:UNKNOWN_ACCOUNT REVIEW_ORDER:UNKNOWN_MARKET SET_ALLOCATION:UNKNOWN_ACCOUNT
    """,
    EventKind.AMEND_REJECTED: "MARKET_HALTED MARKET_CANCEL_ONLY",
    EventKind.LIST_REJECTED: """
        ICEBERG_PARTS MARKET_LOT_SIZE MAX_NUM_ALGO_ORDERS MAX_NUM_ICEBERG_ORDERS MAX_NUM_ORDER_LISTS OVERFLOW
        TRAILING_DELTA MARKET_CANCEL_ONLY
    """,
    EventKind.MARKET_STATE_CHANGED: "NO_AUCTION_PRICE",
}
LIST_REFUSED = """
    INSUFFICIENT_BALANCE UNKNOWN_ACCOUNT UNKNOWN_MARKET DUPLICATE_CLIENT_ID STALE_SETTINGS MALFORMED PRICE_FILTER
    LOT_SIZE NOTIONAL PERCENT_PRICE MAX_NUM_ORDERS MARKET_NOT_OPEN MARKET_HALTED MARKET_AUCTION MARKET_CLOSED
    MARKET_POST_ONLY WOULD_MATCH WOULD_TRIGGER EXPIRY_PASSED LIST_LEGS
"""
EXPECTED = {
    EventKind.ORDER_ACCEPTED: "NONE",
    EventKind.ORDER_REJECTED: NEW_ORDER_REFUSED,
    EventKind.ORDER_DUPLICATE: "NONE",
    EventKind.TRADE: "NONE",
    EventKind.ORDER_RESTED: "NONE",
    EventKind.ORDER_CLOSED: ENDS,
    EventKind.CANCEL_REJECTED: """
        UNKNOWN_ORDER MALFORMED UNKNOWN_MARKET UNKNOWN_ACCOUNT BLOCK_UNCHANGEABLE CANCEL_RESTRICTED
    """,
    EventKind.ALL_CANCELED: "NONE",
    EventKind.PREVENTED_MATCH: "SELF_TRADE",
    EventKind.MONEY_MOVED: "CREDIT DEBIT HOLD RELEASE CAPTURE TRANSFER",
    EventKind.RELAY_REFUSED: RELAYED_REFUSED,
    EventKind.SETTINGS_APPLIED: "SET_ASSET SET_MARKET SET_ACCOUNT SET_ALLOCATION SET_CLASS_STATE",
    EventKind.MARKET_STATE_CHANGED: "NONE STAFF INVARIANT POISON CLOCK BREAKER AUCTION_EXTENDED",
    EventKind.INTERNAL_REJECT: "INTERNAL ENGINE_RESTARTED",
    EventKind.ICEBERG_REFILLED: "NONE",
    EventKind.ORDER_AMENDED: "NONE",
    EventKind.CANCEL_TIMER_SET: "NONE",
    EventKind.LIST_CHANGED: "EXEC_STARTED UPDATED ALL_DONE",
    EventKind.LIST_REJECTED: LIST_REFUSED,
    EventKind.LIST_DUPLICATE: "NONE",
    EventKind.PENDING_ENTERED: "NONE",
    EventKind.AUCTION_PRICE: "NONE",
    EventKind.LEVEL_CHANGED: "NONE",
    EventKind.HALT_DISTANCE: "NONE",
    EventKind.ORDER_PARKED: "NONE",
    EventKind.ORDER_TRIGGERED: "NONE",
    EventKind.ALLOCATED: "HELD FILLED PREVENTED RELEASED",
    EventKind.ORDER_REVIEWED: "NONE",
    EventKind.AMEND_REJECTED: AMEND_REFUSED,
}


# No command leads to it: it is the gateway's own.
ELSEWHERE = {"ENGINE_STOPPED"}


def case_of(event: object) -> str:
    reason = Reason(event.reason).name  # type: ignore[attr-defined]
    kind = event.KIND  # type: ignore[attr-defined]
    if kind == EventKind.ORDER_CLOSED:
        return f"{OrderStatus(event.status).name}:{reason}"  # type: ignore[attr-defined]
    if kind == EventKind.RELAY_REFUSED:
        return f"{CommandKind(event.op).name}:{reason}"  # type: ignore[attr-defined]
    if kind in (EventKind.MONEY_MOVED, EventKind.SETTINGS_APPLIED):
        return CommandKind(event.op).name  # type: ignore[attr-defined]
    if kind == EventKind.LIST_CHANGED:
        return ListStatus(event.status).name  # type: ignore[attr-defined]
    if kind == EventKind.ALLOCATED:
        return AllocationStep(event.step).name  # type: ignore[attr-defined]
    if kind == EventKind.MARKET_STATE_CHANGED:
        return HaltCause(event.cause).name  # type: ignore[attr-defined]
    return reason


@pytest.mark.timeout(600)
def test_the_histories_reach_every_event_with_every_reason() -> None:
    print(f"seeds {SEEDS}")
    seen: Counter[tuple[EventKind, str]] = Counter()
    accepted: Counter[object] = Counter()
    for seed in SEEDS:
        history, engine = History(seed), ENGINES["plain"]()
        for _ in range(COMMANDS):
            events = answer(engine, history.next())
            history.hear(events)
            for event in decode_events(events):
                seen[EventKind(event.KIND), case_of(event)] += 1
                if event.KIND == EventKind.ORDER_ACCEPTED:
                    accepted.update((OrderKind(event.order_kind), TimeInForce(event.time_in_force)))
                    accepted["budget" if event.budget_units else "iceberg" if event.display_lots else "quantity"] += 1
                elif event.KIND == EventKind.PREVENTED_MATCH:
                    accepted[StpMode(event.stp_mode)] += 1
    expected = {(kind, case) for kind, cases in EXPECTED.items() for case in cases.split()}
    assert expected - seen.keys() == set()
    rare = {(kind, case) for kind, cases in RARE.items() for case in cases.split()}
    assert seen.keys() - expected - rare == set()
    assert set(EXPECTED) == set(EventKind)
    wanted = [*OrderKind, *TimeInForce, *StpMode, "budget", "iceberg", "quantity"]
    assert {what: accepted[what] for what in wanted if accepted[what] < 100} == {}


def test_the_table_names_every_reason() -> None:
    tables = [*EXPECTED.values(), *RARE.values()]
    named = {word for cases in tables for case in cases.split() for word in case.split(":")}
    assert {reason.name for reason in Reason} - named == ELSEWHERE
