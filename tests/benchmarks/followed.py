"""Workloads that the book-only oracle cannot follow: an engine itself says what rests and what the best prices are.

`icebergs`: the shape of `mix`, but half of the passive orders show a fifth of their quantity. `stops`: half of them are
stop-loss limit orders at the same distances from the last price, a quarter of these trailing.

Generated once by the plain engine and kept as frames: whichever engine is measured gets the same bytes. Nothing is
refused, which the generator asserts.
"""

from collections.abc import Callable
from random import Random
from struct import Struct
from typing import Any, Final

from apps.matching.engine import Engine
from apps.streams.kinds import AcceptedFlag, CommandKind, EventKind, OrderKind, Side, StpMode, TimeInForce, TradeFlag
from apps.streams.records import COMMAND_VERSION, COMMANDS, EVENT_SIZE, EVENTS
from tests.benchmarks.workload import ACCOUNTS, FIRST_ACCOUNT, SHAPES, START_TICKS, Shape, passive_price

MARKET: Final = 1
FIRST_MS: Final = 1_800_000_000_000
AN_ENTRY: Final = 200  # commands of one stream entry

_place = COMMANDS[CommandKind.PLACE_ORDER].struct.pack
_cancel = COMMANDS[CommandKind.CANCEL_ORDER].struct.pack
_unpack = {kind: EVENTS[kind].struct.unpack for kind in EVENTS}
_HEAD: Final = Struct("<xBB")
_STAYS: Final = AcceptedFlag.RESTED | AcceptedFlag.WAITING


class Follower:
    """The engine, and which orders are open: `live` in no particular order, `owner` their (buy, account)."""

    def __init__(self, setup: bytes) -> None:
        self.engine = Engine()
        self.engine.process(setup)
        self.live: list[int] = []
        self._place: dict[int, int] = {}
        self.owner: dict[int, tuple[bool, int]] = {}
        self.last = START_TICKS

    def apply(self, frame: bytes, buy: bool, account_id: int) -> None:
        events = self.engine.process(frame)
        for offset in range(0, len(events), EVENT_SIZE):
            kind, flags = _HEAD.unpack_from(events, offset)
            fields = _unpack[kind](events[offset : offset + EVENT_SIZE])
            if kind in (EventKind.ORDER_REJECTED, EventKind.CANCEL_REJECTED):
                raise AssertionError(f"a workload's command was refused, reason {fields[3]}")
            if kind == EventKind.ORDER_RESTED or (kind == EventKind.ORDER_ACCEPTED and flags & _STAYS):
                if fields[10] not in self.owner:  # one that was triggered is known
                    self._add(fields[10], buy, account_id)
            elif kind == EventKind.TRADE:
                self.last = fields[15]
                if flags & TradeFlag.MAKER_DONE:
                    self._forget(fields[13])
                if flags & TradeFlag.TAKER_DONE:
                    self._forget(fields[14])
            elif kind == EventKind.ORDER_CLOSED:
                self._forget(fields[10])

    def best(self, side: Side) -> int:
        levels = self.engine.depth(MARKET, side, 1)
        return levels[0][0] if levels else 0

    def _add(self, order_id: int, buy: bool, account_id: int) -> None:
        self._place[order_id] = len(self.live)
        self.live.append(order_id)
        self.owner[order_id] = (buy, account_id)

    def _forget(self, order_id: int) -> None:
        if order_id not in self._place:
            return
        position, newest = self._place.pop(order_id), self.live.pop()
        if newest != order_id:
            self.live[position] = newest
            self._place[newest] = position
        del self.owner[order_id]


def icebergs(random: Random, fields: dict[str, int]) -> None:
    if random.random() < 0.5 and fields["lots"] >= 5:
        fields["display"] = fields["lots"] // 5


def stops(random: Random, fields: dict[str, int]) -> None:
    """As far beyond the last price as the passive order would have stood behind it."""
    if random.random() < 0.5:
        last, buy = fields["last"], fields["buy"]
        away = max(1, abs(fields["price"] - last))
        fields["kind"] = int(OrderKind.STOP_LOSS_LIMIT)
        fields["stop"] = last + away if buy else last - away
        fields["price"] = fields["stop"] + 5 if buy else fields["stop"] - 5
        if random.random() < 0.25:
            fields["stop"], fields["trail"] = 0, random.choice((10, 20, 50, 100))


CHANGES: Final[dict[str, Callable[[Random, dict[str, int]], None]]] = {"icebergs": icebergs, "stops": stops}


def commands(name: str, count: int, seed: int, setup: bytes) -> bytes:
    """`count` stamped frames: the turns of workload.steps, each passive order changed by CHANGES[name]."""
    shape, change, random = SHAPES["mix"], CHANGES[name], Random(seed)
    prefill = min(shape.prefill, count // 4)
    book_size = min(shape.book_size, prefill)
    follower, packed, fair = Follower(setup), [], float(START_TICKS)
    for turn in range(count):
        fair += random.gauss(0.0, shape.walk_ticks)
        draw = random.random()
        cancel = 0.0 if turn < prefill else shape.cancel * (len(follower.live) / book_size) ** 2
        entry, index = divmod(turn, AN_ENTRY)
        stamp = (FIRST_MS + entry * 5, 0, index)
        if draw < cancel:
            order_id = follower.live[random.randrange(len(follower.live))]
            buy, account_id = follower.owner[order_id]
            frame = _cancel(
                COMMAND_VERSION, CommandKind.CANCEL_ORDER, 1, 0, MARKET, account_id, *stamp, order_id, b"", b""
            )
        else:
            buy, account_id, fields = _order(random, shape, follower, fair, draw, takes=turn >= prefill)
            if fields["passive"]:
                change(random, fields)
            frame = _packed(turn, stamp, buy, account_id, fields)
        follower.apply(frame, buy, account_id)
        packed.append(frame)
    return b"".join(packed)


def _order(
    random: Random, shape: Shape, follower: Follower, fair: float, draw: float, *, takes: bool
) -> tuple[bool, int, dict[str, int]]:
    best_bid, best_ask = follower.best(Side.BUY), follower.best(Side.SELL)
    takes = takes and bool(best_bid and best_ask)
    middle = (best_bid + best_ask) / 2 if takes else fair
    lean = max(-0.4, min(0.4, (fair - middle) / (10 * shape.walk_ticks)))
    buy = random.random() < 0.5 + (lean if takes else 0.0)
    account_id = FIRST_ACCOUNT + 2 * random.randrange(ACCOUNTS) + (0 if buy else 1)
    market = takes and draw > 1.0 - shape.market
    crossing = takes and not market and draw > 1.0 - shape.market - shape.crossing
    mean = shape.taker_lots if market or crossing else shape.passive_lots
    fields = {
        "kind": int(OrderKind.MARKET if market else OrderKind.LIMIT),
        "price": 0 if market else best_ask if crossing and buy else best_bid if crossing else 0,
        "lots": max(1, round(mean * random.lognormvariate(-0.5, 1.0))),
        "display": 0,
        "stop": 0,
        "trail": 0,
        "last": follower.last,
        "buy": int(buy),
        "passive": int(not market and not crossing),
    }
    if fields["passive"]:
        fields["price"] = passive_price(random, shape, fair, buy, best_bid, best_ask)
    return buy, account_id, fields


def _packed(turn: int, stamp: tuple[int, int, int], buy: bool, account_id: int, fields: dict[str, Any]) -> bytes:
    market = fields["kind"] == OrderKind.MARKET
    frame: bytes = _place(
        COMMAND_VERSION, CommandKind.PLACE_ORDER, 1, 0, MARKET, account_id, *stamp, fields["price"], fields["lots"], 0,
        fields["display"], fields["stop"], 0, 1, fields["trail"], Side.BUY if buy else Side.SELL, fields["kind"],
        TimeInForce.NONE if market else TimeInForce.GTC, StpMode.EXPIRE_TAKER, b"bench-%x" % turn,
    )  # fmt: skip
    return frame
