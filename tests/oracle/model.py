"""The model behind the interface of an engine: process(frames) -> events, skip(run, reason) -> events."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from apps.streams.commands import MoneyCommand, PlaceOrder, Relayed, Strategy
from apps.streams.kinds import CommandKind, ListKind, MarketState, Reason
from apps.streams.records import COMMANDS, CONTROL_HEAD_SIZE, FRAME_SIZE
from tests.oracle import auction, blocks, breakers, lists, money, orders, parking, staff, turns
from tests.oracle.world import World

ONE_FRAME_COMMANDS: dict[CommandKind, Callable[..., object]] = {
    CommandKind.CANCEL_ORDER: orders.cancel_order,
    CommandKind.CANCEL_ALL: orders.cancel_all,
    CommandKind.AMEND_ORDER: orders.amend_order,
    CommandKind.SET_CANCEL_TIMER: orders.set_cancel_timer,
    CommandKind.SET_MARKET_STATE: staff.set_market_state,
    CommandKind.SET_ACCOUNT: staff.set_account,
    CommandKind.SET_CLASS_STATE: staff.set_class_state,
}
BODY_COMMANDS: dict[CommandKind, Callable[..., object]] = {
    CommandKind.SET_ASSET: staff.set_asset,
    CommandKind.SET_MARKET: staff.set_market,
    CommandKind.SET_ALLOCATION: blocks.set_allocation,
}


def decode(frame: bytes) -> tuple[Any, bool]:
    """(command, whether its texts are ASCII without a NUL inside); it is without any text where one is not."""
    layout = COMMANDS[CommandKind(frame[1])]
    values = list(layout.struct.unpack_from(frame)[2:])
    places = [position for position, code in enumerate(layout.codes) if code.endswith("s")]
    texts = [values[position].rstrip(b"\0") for position in places]
    readable = all(text.isascii() and b"\0" not in text for text in texts)
    for position, text in zip(places, texts, strict=True):
        values[position] = text.decode("ascii") if readable else ""
    return layout.record(**dict(zip(layout.names, values, strict=True))), readable


def decode_order(run: bytes, at: int) -> tuple[PlaceOrder, bool, int]:
    """(new order, whether all of it can be read, where it ends) of the frame at that byte."""
    order, readable = decode(run[at : at + FRAME_SIZE])
    if order.parts != 2 or len(run) < at + 2 * FRAME_SIZE:
        return order, readable and order.parts == 1, at + FRAME_SIZE
    strategy_id, strategy_type, given = struct.unpack_from("<qIB", run, at + FRAME_SIZE)
    has_id, has_type, nothing_else = given & 8, given & 16, given & ~24 == 0
    sound = (has_id or has_type) and nothing_else and (has_id or not strategy_id) and (has_type or not strategy_type)
    strategy = Strategy(strategy_id=strategy_id, strategy_type=strategy_type, given=given)
    return replace(order, strategy=strategy), readable and bool(sound), at + 2 * FRAME_SIZE


def orders_behind(run: bytes, count: int, *, tail: int = 0) -> list[tuple[PlaceOrder, bool]] | None:
    """(order, whether it can be read) of each order behind a head; None unless they fill the run but for its tail."""
    found, at = [], FRAME_SIZE
    for _ in range(count):
        if at >= len(run) - tail or run[at + 1] != CommandKind.PLACE_ORDER or run[at + 2] not in (1, 2):
            return None
        order, readable, at = decode_order(run, at)
        found.append((order, readable))
    return found if at == len(run) - tail else None


class Oracle:
    """One command a call."""

    def __init__(self, closed_ids_kept: int = 1_000_000) -> None:
        self.world = World(closed_ids_kept)

    def process(self, run: bytes) -> bytes:
        world = self.world
        command, readable = decode(run)
        world.now = command.entry_ms
        world.command = (command.entry_ms, command.entry_n, command.index)
        world.out = []
        orders.run_timers(world)
        self._apply(command, run, readable=readable)
        turns.run_triggered(world, orders.run)
        for market_id in sorted(world.markets):
            if world.markets[market_id].state == MarketState.AUCTION:
                auction.tell_price(world, world.markets[market_id])
        return b"".join(world.out)

    def skip(self, run: bytes, reason: Reason) -> bytes:
        """The command was recorded as one that is never applied."""
        world = self.world
        command, _ = decode(run)
        world.command = (command.entry_ms, command.entry_n, command.index)
        world.out = []
        if not isinstance(command, Relayed) or money.is_next(world, command.relay_seq, command.source):
            staff.skipped(world, command, reason)
        return b"".join(world.out)

    def validate(self) -> None:
        """The model's own check of its state."""
        self.world.check()

    def _apply(self, command: Any, run: bytes, *, readable: bool) -> None:
        world, kind = self.world, command.KIND
        if isinstance(command, Relayed) and not money.is_next(world, command.relay_seq, command.source):
            return
        one_frame = len(run) == FRAME_SIZE
        if kind == CommandKind.PLACE_ORDER:
            order, readable, end = decode_order(run, 0)
            orders.place_order(world, order, readable=readable and end == len(run))
        elif kind in ONE_FRAME_COMMANDS:
            ONE_FRAME_COMMANDS[kind](world, command, readable=readable and one_frame)
        elif isinstance(command, MoneyCommand):
            money.move_money(world, command, readable=readable and one_frame)
        elif kind == CommandKind.REPLACE_ORDER:
            orders.replace_order(world, command, orders_behind(run, 1), readable=readable)
        elif kind == CommandKind.PLACE_BLOCK:
            lots = blocks.requested(run, command)
            tail = 0 if lots is None else FRAME_SIZE * -(-8 * len(lots) // FRAME_SIZE)
            orders.place_block(world, command, orders_behind(run, 1, tail=tail), lots)
        elif kind == CommandKind.REVIEW_ORDER:
            parking.review_order(world, command, orders.run, readable=readable and one_frame)
        elif kind == CommandKind.PLACE_LIST:
            known = command.list_kind in list(ListKind)
            legs = orders_behind(run, lists.LEGS[command.list_kind]) if known else None
            lists.place_list(world, command, legs, readable=readable)
        elif kind == CommandKind.TICK:
            for market_id in sorted(world.markets):
                breakers.tell_distance(world, world.markets[market_id])
        elif kind in BODY_COMMANDS:
            end = CONTROL_HEAD_SIZE + command.body_length
            body = run[CONTROL_HEAD_SIZE:end] if end <= len(run) else None
            BODY_COMMANDS[kind](world, command, body)
