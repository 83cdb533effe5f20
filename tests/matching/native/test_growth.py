"""What grows: pools, tables, the window of order ids. Nothing is lost on the way, and memory is used again."""

from collections.abc import Iterable
from typing import Any, Final

import pytest

from apps.matching.native.engine import Engine
from apps.streams.codec import decode_event, decode_events, encode_command, encode_set_asset, encode_set_market, stamp
from apps.streams.commands import CancelAll, CancelOrder, Credit, PlaceOrder, SetMarketState
from apps.streams.events import CancelRejected, OrderClosed
from apps.streams.kinds import EventKind, MarketState, OrderKind, Reason, Source, TimeInForce
from apps.streams.messages import AssetSettings
from apps.streams.records import EVENT_SIZE
from tests.matching.engine.random_commands import START_MS, market

DIRECT: Final[dict[str, Any]] = {"relay_seq": 0, "source": Source.DIRECT}
WINDOW: Final = 2**18  # ids that are found without a search (order_ids.c)
MANY: Final = 40_960  # orders: ten chunks of a pool, which begins with room for eight
BYTES_AN_ORDER_MAX: Final = 160
PRICES: Final = range(1_000, 1_100)
BATCH: Final = 4_096


def send(engine: Engine, commands: Iterable[bytes]) -> bytes:
    frames = bytearray().join(commands)
    stamp(frames, START_MS, 0)
    return engine.process(bytes(frames))


def kinds(events: bytes) -> set[int]:
    return set(events[1::EVENT_SIZE])


def bid(number: int, **more: Any) -> bytes:
    fixed = {"market_id": 1, "account_id": 1, "settings_version": 1, "side": 0, "order_kind": OrderKind.LIMIT}
    values = {"time_in_force": TimeInForce.GTC, "quantity_lots": 1 + number % 7}
    return encode_command(PlaceOrder(**fixed | values | {"price_ticks": PRICES[number % len(PRICES)]} | more))


def cancel(order_id: int) -> bytes:
    return encode_command(CancelOrder(account_id=1, order_id=order_id))


@pytest.fixture
def engine() -> Engine:
    """One market, in which account 1 has money and may have any number of orders."""
    engine = Engine(10)
    bands = dict.fromkeys(("bid_down_bp", "bid_up_bp", "ask_down_bp", "ask_up_bp", "max_open_orders"), 0)
    asset_ids = {1: "BTC", 2: "USDT"}
    send(
        engine,
        [encode_set_asset(AssetSettings(asset_id=each, code=code), **DIRECT) for each, code in asset_ids.items()],
    )
    send(engine, [encode_set_market(market(1, 1, 2, **bands), **DIRECT)])
    send(engine, [encode_command(SetMarketState(market_id=1, state=MarketState.OPEN, cause=0, **DIRECT))])
    for asset_id in asset_ids:
        money = Credit(account_id=1, asset_id=asset_id, amount_units=2**60, counter=1, key=str(asset_id), **DIRECT)
        send(engine, [encode_command(money)])
    return engine


def test_every_one_of_many_orders_is_found_again(engine: Engine) -> None:
    """Their slots, ids and client ids: as many as make pools, tables and lists of chunks grow."""
    placed = [bid(number, client_id=f"c{number}") for number in range(MANY)]
    assert kinds(send(engine, placed)) == {EventKind.ORDER_ACCEPTED}
    engine.validate()
    assert kinds(send(engine, placed[::5])) == {EventKind.ORDER_DUPLICATE}
    events = send(engine, [cancel(1 + number) for number in range(MANY)])
    assert kinds(events) == {EventKind.ORDER_CLOSED}
    for number in range(0, MANY, 9):
        closed = decode_event(events, number * EVENT_SIZE)
        wanted = (1 + number, PRICES[number % len(PRICES)], 1 + number % 7, f"c{number}")
        assert (closed.order_id, closed.price_ticks, closed.quantity_lots, closed.client_id) == wanted
    engine.validate()
    assert engine.counters().open_orders == 0


def test_an_order_takes_little_and_gives_it_back(engine: Engine) -> None:
    orders = [bid(number) for number in range(MANY)]
    before = engine.memory_bytes
    send(engine, orders)
    grown = engine.memory_bytes
    assert 128 <= (grown - before) / MANY <= BYTES_AN_ORDER_MAX
    for _ in range(3):
        send(engine, [encode_command(CancelAll(account_id=1))])
        send(engine, orders)
    assert engine.memory_bytes == grown
    engine.validate()


def test_an_order_that_is_open_for_very_long_is_found(engine: Engine) -> None:
    """Each of them when exactly the window's number of ids, one less or one more was given out since."""
    send(engine, [bid(number) for number in range(9)])
    passing = bid(0, time_in_force=TimeInForce.IOC) * BATCH
    missing = WINDOW - 9
    for _ in range(missing // BATCH):
        send(engine, [passing])
    send(engine, [bid(0, time_in_force=TimeInForce.IOC)] * (missing % BATCH))
    assert engine.counters().last_order_id == WINDOW
    for order_id, distance in ((2, WINDOW - 1), (5, WINDOW), (8, WINDOW + 1)):
        send(engine, [bid(0)] * (order_id + distance - engine.counters().last_order_id))
        assert engine.counters().last_order_id == order_id + distance
        (closed,) = decode_events(send(engine, [cancel(order_id)]))
        assert (type(closed), closed.order_id, closed.price_ticks) == (OrderClosed, order_id, PRICES[order_id - 1])
        (refused,) = decode_events(send(engine, [cancel(order_id)]))
        assert (type(refused), refused.reason) == (CancelRejected, Reason.UNKNOWN_ORDER)
    engine.validate()
