"""Books and balances rebuilt from events alone, as every reader does: proof that events are absolute and complete."""

from collections import defaultdict
from typing import Any

from apps.streams.events import (
    Allocated,
    IcebergRefilled,
    LevelChanged,
    ListChanged,
    MoneyMoved,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderParked,
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
    ClosedFlag,
    CommandKind,
    EnteredFlag,
    EventKind,
    ListStatus,
    Review,
    Side,
    StpMode,
    TradeFlag,
)

Pair = tuple[int, int]


class Projection:
    """`assets` is {market_id: (base, quote)}; levels are {(market, side, price): lots}, balances {(account, asset)}."""

    def __init__(self, assets: dict[int, Pair]) -> None:
        self.assets = assets
        self.seq = 0
        self.levels: dict[tuple[int, int, int], int] = {}
        self.balances: dict[Pair, Pair] = {}
        self.orders: dict[int, OrderAccepted] = {}
        self.left: dict[int, int] = {}
        self.priority: dict[int, int] = {}
        self.waiting: dict[int, int] = {}  # 1 conditional, 2 pending, 4 triggered and not yet done
        self.lists: dict[int, tuple[int, ...]] = {}  # order ids of the open ones
        self.prevented: dict[int, int] = defaultdict(int)
        self.shares: dict[Pair, Pair] = {}  # (order, sub-account): (final lots, allocated lots)

    def apply(self, event: Any) -> None:
        assert event.seq == self.seq + 1, f"seq {event.seq} after {self.seq}"
        self.seq = event.seq
        handler = getattr(self, f"_{EventKind(event.KIND).name.lower()}", None)
        if handler is not None:
            handler(event)

    def open_levels(self) -> dict[tuple[int, int, int], int]:
        return {key: lots for key, lots in self.levels.items() if lots}

    def money(self) -> dict[Pair, Pair]:
        return {key: pair for key, pair in self.balances.items() if pair != (0, 0)}

    def _pays(self, market_id: int, side: int) -> int:
        base, quote = self.assets[market_id]
        return quote if side == Side.BUY else base

    def _order_accepted(self, event: OrderAccepted) -> None:
        asset_id = self._pays(event.market_id, event.side)
        self.balances[event.account_id, asset_id] = (event.available_units, event.held_units)
        self.orders[event.order_id] = event
        if event.flags & AcceptedFlag.PENDING:
            self.left[event.order_id], self.priority[event.order_id] = event.quantity_lots, 0
            self.waiting[event.order_id] = 2
        if event.flags & AcceptedFlag.WAITING:
            self.left[event.order_id], self.priority[event.order_id] = event.quantity_lots, 0
            self.waiting[event.order_id] = 1
        if event.flags & AcceptedFlag.RESTED:
            self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots
            self.left[event.order_id] = event.quantity_lots
            self.priority[event.order_id] = event.seq

    def _order_rested(self, event: OrderRested) -> None:
        self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots
        self.left[event.order_id] = event.left_lots
        self.priority[event.order_id] = event.seq
        self.waiting.pop(event.order_id, None)

    def _order_triggered(self, event: OrderTriggered) -> None:
        assert self.waiting[event.order_id] == 1
        self.waiting[event.order_id] = 4

    def _order_closed(self, event: OrderClosed) -> None:
        asset_id = self._pays(event.market_id, event.side)
        self.balances[event.account_id, asset_id] = (event.available_units, event.held_units)
        if event.flags & ClosedFlag.WAS_RESTING:
            self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots
            left = event.quantity_lots - event.filled_lots - self.prevented[event.order_id]
            assert self.left.pop(event.order_id) == left
        elif event.order_id in self.left:  # it waited
            del self.left[event.order_id]
        self.waiting.pop(event.order_id, None)
        del self.orders[event.order_id]

    def _order_parked(self, event: OrderParked) -> None:
        """It stands in no book, so it has no place there."""
        self.left[event.order_id] = self.orders[event.order_id].quantity_lots
        self.priority[event.order_id] = 0

    def _order_reviewed(self, event: OrderReviewed) -> None:
        """Released it goes on like an order that was just accepted."""
        if event.decision == Review.RELEASE:
            del self.left[event.order_id]

    def _prevented_match(self, event: PreventedMatch) -> None:
        if event.stp_mode != StpMode.DECREMENT:
            return
        maker_side = Side.SELL if event.taker_side == Side.BUY else Side.BUY
        self.balances[event.account_id, self._pays(event.market_id, event.taker_side)] = (
            event.taker_available, event.taker_held,
        )  # fmt: skip
        self.balances[event.maker_account_id, self._pays(event.market_id, maker_side)] = (
            event.maker_available, event.maker_held,
        )  # fmt: skip
        self.levels[event.market_id, maker_side, event.price_ticks] = event.level_lots
        self.left[event.maker_order_id] -= event.prevented_lots
        assert self.left[event.maker_order_id] == event.maker_left_lots
        if event.taker_order_id in self.waiting:
            self.left[event.taker_order_id] -= event.prevented_lots
        for order_id in (event.taker_order_id, event.maker_order_id):
            self.prevented[order_id] += event.prevented_lots

    def _order_amended(self, event: OrderAmended) -> None:
        self.balances[event.account_id, self._pays(event.market_id, event.side)] = (
            event.available_units, event.held_units,
        )  # fmt: skip
        self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots
        self.left[event.order_id] -= event.old_quantity_lots - event.quantity_lots
        assert self.left[event.order_id] == event.left_lots

    def _allocated(self, event: Allocated) -> None:
        base, quote = self.assets[event.market_id]
        self.balances[event.account_id, base] = (event.base_available, event.base_held)
        self.balances[event.account_id, quote] = (event.quote_available, event.quote_held)
        key = event.order_id, event.account_id
        if event.step == AllocationStep.HELD:
            assert key not in self.shares
            self.shares[key] = (event.final_lots, 0)
            return
        final, allocated = self.shares[key]
        if event.step == AllocationStep.RELEASED:
            assert event.quantity_lots == final - allocated
            del self.shares[key]
        else:
            assert (event.final_lots, event.allocated_lots) == (final, allocated + event.quantity_lots)
            self.shares[key] = (final, event.allocated_lots)
            if event.allocated_lots == final:
                del self.shares[key]

    def _list_changed(self, event: ListChanged) -> None:
        ids = (event.order_id_1, event.order_id_2, event.order_id_3)
        if event.status == ListStatus.EXEC_STARTED:
            assert event.list_id == event.order_id_1
            self.lists[event.list_id] = tuple(filter(None, ids))
        elif event.status == ListStatus.UPDATED:
            assert self.lists[event.list_id] == tuple(filter(None, ids))
            self.waiting[event.order_id_2] = 4
        else:
            del self.lists[event.list_id]
            assert not any(order_id in self.orders for order_id in ids)

    def _pending_entered(self, event: PendingEntered) -> None:
        self.balances[event.account_id, self._pays(event.market_id, event.side)] = (
            event.available_units, event.held_units,
        )  # fmt: skip
        self.waiting[event.order_id] = 1 if event.flags & EnteredFlag.WAITING else 4

    def _iceberg_refilled(self, event: IcebergRefilled) -> None:
        self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots
        self.priority[event.order_id] = event.seq

    def _trade(self, event: Trade) -> None:
        base, quote = self.assets[event.market_id]
        for account, asset, pair in (
            (event.account_id, base, (event.taker_base_available, event.taker_base_held)),
            (event.account_id, quote, (event.taker_quote_available, event.taker_quote_held)),
            (event.maker_account_id, base, (event.maker_base_available, event.maker_base_held)),
            (event.maker_account_id, quote, (event.maker_quote_available, event.maker_quote_held)),
        ):
            self.balances[account, asset] = pair
        if event.flags & TradeFlag.AUCTION:
            assert event.level_lots == 0
            self.left[event.taker_order_id] -= event.quantity_lots
            if event.flags & TradeFlag.TAKER_DONE:
                assert self.left.pop(event.taker_order_id) == 0
        else:
            maker_side = Side.SELL if event.flags & TradeFlag.TAKER_IS_BUYER else Side.BUY
            self.levels[event.market_id, maker_side, event.price_ticks] = event.level_lots
        self.left[event.maker_order_id] -= event.quantity_lots
        assert self.left[event.maker_order_id] == event.maker_left_lots
        if event.flags & TradeFlag.MAKER_DONE:
            assert self.left.pop(event.maker_order_id) == 0
            del self.orders[event.maker_order_id]
        if event.taker_order_id in self.waiting:  # a triggered one, in its turn
            self.left[event.taker_order_id] -= event.quantity_lots
        if event.flags & TradeFlag.TAKER_DONE:
            if self.waiting.pop(event.taker_order_id, 0):
                assert self.left.pop(event.taker_order_id) == 0
            del self.orders[event.taker_order_id]

    def _level_changed(self, event: LevelChanged) -> None:
        self.levels[event.market_id, event.side, event.price_ticks] = event.level_lots

    def _money_moved(self, event: MoneyMoved) -> None:
        self.balances[event.account_id, event.asset_id] = (event.available_units, event.held_units)
        if event.to_account_id:
            assert event.op in (CommandKind.TRANSFER, CommandKind.CAPTURE)
            self.balances[event.to_account_id, event.asset_id] = (event.to_available_units, event.to_held_units)
