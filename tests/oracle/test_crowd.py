"""More than 1,000 timers are due at once: the rest is still in the book when the command is applied, and is met there.

No random history comes to that, and it is the only way in which a taker, a LIMIT_MAKER or a read-only run meets an
order that has expired by time.
"""

from copy import deepcopy
from random import Random

from apps.matching.engine import Engine
from apps.matching.native.build import built
from apps.matching.native.engine import Engine as NativeEngine
from apps.streams.codec import decode_events, encode_command, encode_set_market, stamp
from apps.streams.commands import PlaceOrder, Tick
from apps.streams.kinds import EventKind, OrderKind, Reason, TimeInForce
from tests.oracle.model import Oracle
from tests.oracle.streams import START_MS, History

TIMERS_A_COMMAND = 1_000
LATE = 60
SEED = 11


def stamped(frames: bytes, now_ms: int) -> bytes:
    run = bytearray(frames)
    stamp(run, now_ms, 0)
    return bytes(run)


def test_what_is_not_yet_expired_by_a_timer_is_met_as_expired() -> None:
    print(f"seed {SEED}")
    random, history = Random(SEED), History(SEED)
    model, engine = Oracle(), Engine()
    others = [NativeEngine()] if built() is not None else []

    def both(frames: bytes) -> bytes:
        expected = engine.process(frames)
        for other in (model, *others):
            assert other.process(frames) == expected
        return expected

    while history.queue:
        history.hear(both(history.next()[0]))
    history.money_units = 10**13
    for account_id in history.accounts:
        for asset_id in (1, 2):
            both(stamped(encode_command(history.credit(account_id, asset_id)), history.now_ms))
    wide = history.market(1, history.versions[1] + 1)
    names = (
        "bid_down_bp",
        "bid_up_bp",
        "ask_down_bp",
        "ask_up_bp",
        "max_open_orders",
        "min_notional_units",
        "max_iceberg_orders",
    )
    wide = type(wide)(
        **(
            {n: getattr(wide, n) for n in wide.__struct_fields__}
            | dict.fromkeys(names, 0)
            | {"min_lots": 1, "breaker_rules": []}
        )
    )
    history.hear(both(stamped(encode_set_market(wide, **history.relay()), history.now_ms)))
    both(stamped(history.choose(), history.now_ms))  # staff opens market 1

    now_ms, expires_ms = history.now_ms + 1, history.now_ms + 1_000
    accepted = 0
    for number in range(TIMERS_A_COMMAND + LATE + 40):
        side = number % 2
        late, stays = number >= TIMERS_A_COMMAND, number >= TIMERS_A_COMMAND + LATE
        near = random.randrange(1, 8)
        order = PlaceOrder(
            market_id=1,
            account_id=random.choice(history.accounts),
            settings_version=wide.settings_version,
            side=side,
            order_kind=OrderKind.LIMIT,
            time_in_force=TimeInForce.GTC if stays else TimeInForce.GTD,
            expires_ms=0 if stays else expires_ms + late,
            price_ticks=100 + (near if side else -near),
            quantity_lots=random.randrange(1, 9),
            display_lots=random.choice((0, 1)),
        )
        events = decode_events(both(stamped(encode_command(order), now_ms)))
        accepted += sum(event.KIND == EventKind.ORDER_ACCEPTED for event in events)
    assert accepted == TIMERS_A_COMMAND + LATE + 40

    history.lots_max, history.spread, history.apart, history.conditional = 60, 6.0, 0.0, 0.0
    body, met = engine.snapshot(), 0
    for _ in range(20):
        frames = stamped(encode_command(history.new_order(market_id=1)), expires_ms + 500)
        tick = stamped(encode_command(Tick()), expires_ms + 500)
        restored, copy = Engine.restore(body), deepcopy(model)
        again = [copy, *(type(other).restore(body) for other in others)]
        answer = restored.process(frames)
        assert [each.process(frames) for each in again] == [answer] * len(again)
        expired = [event for event in decode_events(answer) if event.reason == Reason.EXPIRED_BY_TIME]
        assert len(expired) >= TIMERS_A_COMMAND
        met += len(expired) > TIMERS_A_COMMAND
        answer = restored.process(tick)
        assert [each.process(tick) for each in again] == [answer] * len(again)
        for each in (restored, *again):
            each.validate()
    assert met > 5
    assert history.now_ms >= START_MS
