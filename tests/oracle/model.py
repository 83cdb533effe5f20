"""The model behind the interface of an engine: process(frames) -> events, skip(run, reason) -> events."""

from collections.abc import Callable
from typing import Any

from apps.streams.commands import MoneyCommand, Relayed
from apps.streams.kinds import CommandKind, ListKind, MarketState, Reason
from apps.streams.records import COMMANDS, CONTROL_HEAD_SIZE, FRAME_SIZE
from tests.oracle import auction, blocks, breakers, lists, money, orders, parking, staff, turns
from tests.oracle.world import World

ONE_FRAME_COMMANDS: dict[CommandKind, Callable[..., object]] = {
    CommandKind.PLACE_ORDER: orders.place_order,
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
        if kind in ONE_FRAME_COMMANDS:
            ONE_FRAME_COMMANDS[kind](world, command, readable=readable and one_frame)
        elif isinstance(command, MoneyCommand):
            money.move_money(world, command, readable=readable and one_frame)
        elif kind in (CommandKind.REPLACE_ORDER, CommandKind.PLACE_BLOCK):
            order = None
            if len(run) >= 2 * FRAME_SIZE and run[FRAME_SIZE + 1] == CommandKind.PLACE_ORDER:
                order, order_readable = decode(run[FRAME_SIZE:])
                readable = readable and order_readable
            if kind == CommandKind.PLACE_BLOCK:
                orders.place_block(world, command, order, run, readable=readable)
            else:
                readable = readable and len(run) == 2 * FRAME_SIZE
                orders.replace_order(world, command, order, readable=readable)
        elif kind == CommandKind.REVIEW_ORDER:
            parking.review_order(world, command, orders.run, readable=readable and one_frame)
        elif kind == CommandKind.PLACE_LIST:
            legs = None
            if command.list_kind in list(ListKind) and len(run) == FRAME_SIZE * (1 + lists.LEGS[command.list_kind]):
                frames = [run[at : at + FRAME_SIZE] for at in range(FRAME_SIZE, len(run), FRAME_SIZE)]
                if all(frame[1] == CommandKind.PLACE_ORDER for frame in frames):
                    decoded = [decode(frame) for frame in frames]
                    legs = [leg for leg, _ in decoded]
                    readable = readable and all(clean for _, clean in decoded)
            lists.place_list(world, command, legs, readable=readable)
        elif kind == CommandKind.TICK:
            for market_id in sorted(world.markets):
                breakers.tell_distance(world, world.markets[market_id])
        elif kind in BODY_COMMANDS:
            end = CONTROL_HEAD_SIZE + command.body_length
            body = run[CONTROL_HEAD_SIZE:end] if end <= len(run) else None
            BODY_COMMANDS[kind](world, command, body)
