"""The random histories of test_random.py use every rule of the engine, each of them several times."""

from collections import Counter

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.events import (
    Allocated,
    AmendRejected,
    CancelRejected,
    ListChanged,
    ListRejected,
    MarketStateChanged,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
    OrderRested,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
    Trade,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationStep,
    CommandKind,
    EventKind,
    HaltCause,
    ListKind,
    ListStatus,
    MarketState,
    OrderKind,
    Reason,
    Review,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from tests.matching.engine.test_random import history


def test_the_histories_use_every_rule() -> None:
    seen: Counter[object] = Counter()
    for seed in range(12):
        engine, kinds = Engine(50), {}
        for frames in history(seed, 3_000):
            events = decode_events(engine.process(frames))
            if frames[1] == CommandKind.REPLACE_ORDER:
                seen["replaced", tuple(sorted({EventKind(event.KIND).name for event in events[:2]}))] += 1
            for event in events:
                seen[EventKind(event.KIND)] += 1
                if isinstance(event, OrderReviewed):
                    seen[Review(event.decision), type(events[-1]).__name__] += 1
                match event:
                    case OrderAccepted():
                        kinds[event.order_id] = event
                        seen[OrderKind(event.order_kind)] += 1
                        seen[TimeInForce(event.time_in_force)] += 1
                        seen["strategy", event.flags] += 1
                    case ListChanged():
                        seen[ListKind(event.list_kind), ListStatus(event.status)] += 1
                    case ListRejected():
                        seen["list", Reason(event.reason)] += 1
                    case PendingEntered():
                        seen["entered", event.flags] += 1
                    case Allocated():
                        seen[AllocationStep(event.step), event.flags, Side(event.side)] += 1
                    case PreventedMatch():
                        seen[StpMode(event.stp_mode)] += 1
                        asked = kinds[event.taker_order_id].stp_mode
                        seen["family met in a call"] += event.stp_mode == StpMode.EXPIRE_TAKER != asked
                    case Trade() if event.flags & TradeFlag.AUCTION:
                        seen["paired"] += 1
                    case OrderRejected() | AmendRejected() | CancelRejected():
                        seen[Reason(event.reason)] += 1
                    case OrderTriggered():
                        seen["trailing triggered"] += kinds[event.order_id].trailing_bips > 0
                        seen["triggered in turn"] += any(
                            isinstance(before, OrderTriggered) and before.last_price_ticks != event.last_price_ticks
                            for before in events
                        )
                    case OrderRested() if kinds[event.order_id].flags & AcceptedFlag.WAITING:
                        seen["rested after its trigger"] += 1
                    case Trade() if event.flags & TradeFlag.TAKER_DONE:
                        seen["filled", kinds[event.taker_order_id].time_in_force] += 1
                    case OrderClosed():
                        seen[Reason(event.reason), event.time_in_force] += 1
                    case MarketStateChanged():
                        seen["moved", event.old_state, event.new_state, event.cause, bool(event.relay_seq)] += 1
    wanted = [
        ("replaced", ("ORDER_ACCEPTED", "ORDER_CLOSED")), ("replaced", ("CANCEL_REJECTED", "ORDER_ACCEPTED")),
        ("replaced", ("CANCEL_REJECTED",)), ("replaced", ("ORDER_REJECTED",)),
        (Review.RELEASE, "Trade"), (Review.RELEASE, "OrderRested"), (Review.REJECT, "OrderClosed"),
        (Reason.PARK_EXPIRED, TimeInForce.GTC), Reason.MAX_NUM_ICEBERG_ORDERS,
        (Reason.CANCELED_BY_TIMER, TimeInForce.GTC), EventKind.CANCEL_TIMER_SET,
        *(("strategy", more | flag) for more in (8, 16, 24) for flag in (0, *AcceptedFlag) if flag < 8),
        Reason.CANCEL_RESTRICTED,
        *OrderKind, *TimeInForce, *StpMode, EventKind.ICEBERG_REFILLED, EventKind.ORDER_AMENDED, Reason.WOULD_MATCH,
        *((kind, status) for kind in ListKind for status in ListStatus if (kind, status) != (1, 2)), ("entered", 0),
        ("entered", 1), EventKind.LIST_DUPLICATE, ("list", Reason.WOULD_MATCH), ("list", Reason.WOULD_TRIGGER),
        ("list", Reason.INSUFFICIENT_BALANCE), ("list", Reason.LIST_LEGS), Reason.LIST_UNCHANGEABLE,
        ("list", Reason.MAX_NUM_ORDER_LISTS), (Reason.LIST_ENDED, TimeInForce.GTC),
        *((AllocationStep.FILLED, taker, side) for taker in (0, 1) for side in Side), Reason.UNKNOWN_ALLOCATION,
        *((step, 0, side) for step in AllocationStep for side in Side), Reason.ALLOCATION_FAMILY,
        Reason.ALLOCATION_WEIGHTS, Reason.BLOCK_UNCHANGEABLE,
        Reason.EXPIRY_PASSED, Reason.ICEBERG_PARTS, Reason.AMEND_QUANTITY, Reason.MAX_NUM_ORDER_AMENDS,
        (Reason.EXPIRED_BY_TIME, TimeInForce.GTD),
        (Reason.NO_LIQUIDITY, TimeInForce.IOC), (Reason.NO_LIQUIDITY, TimeInForce.FOK), ("filled", TimeInForce.FOK),
        (Reason.SELF_TRADE, TimeInForce.IOC), (Reason.BUDGET_SPENT, TimeInForce.NONE),
        (Reason.HOLD_SPENT, TimeInForce.NONE), EventKind.ORDER_TRIGGERED, Reason.WOULD_TRIGGER, Reason.TRAILING_DELTA,
        Reason.MAX_NUM_ALGO_ORDERS, Reason.NOT_AMENDABLE, "trailing triggered", "triggered in turn",
        "rested after its trigger",
        EventKind.AUCTION_PRICE, EventKind.LEVEL_CHANGED, EventKind.HALT_DISTANCE, "paired", "family met in a call",
        ("moved", MarketState.AUCTION, MarketState.OPEN, HaltCause.NONE, False),
        ("moved", MarketState.AUCTION, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED, False),
        (Reason.BREAKER, TimeInForce.GTC), (Reason.BREAKER, TimeInForce.NONE),
        ("moved", MarketState.OPEN, MarketState.HALTED, HaltCause.BREAKER, False),
        ("moved", MarketState.HALTED, MarketState.OPEN, HaltCause.NONE, True),
    ]  # fmt: skip
    assert {what: seen[what] for what in wanted if seen[what] < 3} == {}
