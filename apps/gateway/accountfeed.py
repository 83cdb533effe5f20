"""What one account is told of the engine's events: executionReport, listStatus, outboundAccountPosition, balanceUpdate.

An `AccountFeed` knows the account's open orders, as of one event when it begins, and moves them by the events after it.
Events that arrive before it begins wait. Several subscribers may share one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import structlog
from msgspec.structs import replace

from apps.common.clock import now_ms
from apps.gateway import userevents
from apps.gateway.markets import Markets
from apps.gateway.replies import HAS_STRATEGY_ID, HAS_STRATEGY_TYPE, OrderView
from apps.gateway.told import Listener, Told
from apps.streams.events import (
    Allocated,
    ListChanged,
    MoneyMoved,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderParked,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
    Trade,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationStep,
    EnteredFlag,
    ListStatus,
    OrderKind,
    OrderStatus,
    Review,
    Side,
    StpMode,
    TradeFlag,
)

log = structlog.get_logger("nebannpet.gateway.accountfeed")

# Client ids of the members of each list, by order id.
Members = Mapping[int, Mapping[int, str]]
NO_LISTS: Final[Members] = MappingProxyType({})
# x of the report of an end, where it is not EXPIRED.
_ENDS: Final = {int(OrderStatus.CANCELED): "CANCELED", int(OrderStatus.REJECTED): "REJECTED"}


@dataclass(slots=True)
class Known:
    """An open order as the next report about it needs it."""

    view: OrderView
    market_id: int


class AccountFeed:
    """Follows one account for its listeners."""

    def __init__(self, account_id: int, markets: Markets) -> None:
        self.account_id = account_id
        self._markets = markets
        self._orders: dict[int, Known] = {}
        # Client ids of the orders of each open list, by order id.
        self._members: dict[int, dict[int, str]] = {}
        self._waiting: list[list[Any]] | None = []
        # Every event up to this one has been told or was there before; the account's next one may be much later.
        self.seq = 0
        # Events are missing: nobody may join any more.
        self.lost = False
        self._told: list[dict[str, Any]] = []
        self.listeners: list[Listener] = []
        # Who listened here listens to that one now.
        self.successor: AccountFeed | None = None

    def load(
        self, seq: int, orders: Iterable[tuple[OrderView, int]], members: Members = NO_LISTS,
        past: Iterable[list[Any]] = (), until: int = 0,
    ) -> None:  # fmt: skip
        """Start from the open orders as of event `seq` and the lists that they belong to; then take `past`, the events
        of each command since, which is all that there was until event `until`, and what came meanwhile.
        """
        self.seq = seq
        self._orders = {view.order_id: Known(view, market_id) for view, market_id in orders}
        self._members = {list_id: dict(of_list) for list_id, of_list in members.items()}
        waiting, self._waiting = self._waiting, None
        for events in past:
            self.on_events(events)
        self.seq = max(self.seq, until)
        for events in waiting or ():
            self.on_events(events)

    def take_over(self, other: "AccountFeed", *, told_to: int) -> None:
        """Who listened to `other` listens here from now on: that has told them everything until event `told_to`, no
        less than this feed has told its own listeners.
        """
        for listener in other.listeners:
            listener.after_seq = max(listener.after_seq, told_to)
        self.listeners += other.listeners
        other.listeners, other.successor = [], self

    # -- from the tail ------------------------------------------------------------------------------------------------
    def on_events(self, events: list[Any]) -> None:
        """All events of one command that touch this account."""
        if self._waiting is not None:
            self._waiting.append(events)
            return
        balances: dict[int, tuple[int, int]] = {}
        time_ms = 0
        # An order by quote budget is FILLED by its ORDER_CLOSED: its last trade is the one to say so.
        filled = {event.order_id for event in events if isinstance(event, OrderClosed) and _is_filled(event)}
        last_fills = {
            event.taker_order_id: event.seq
            for event in events
            if isinstance(event, Trade) and event.taker_order_id in filled
        }
        parked = {event.order_id for event in events if isinstance(event, OrderParked)}
        # The cancel of a list names one of its orders; all that it ends are reported under its id.
        cancel_id = next(
            (each.cancel_client_id for each in events if isinstance(each, OrderClosed) and each.cancel_client_id), ""
        )
        met: dict[int, PreventedMatch] = {}
        lists: list[ListChanged] = []
        for event in events:
            if event.seq <= self.seq:
                continue
            self.seq, time_ms = event.seq, event.cmd_ms
            if isinstance(event, OrderAccepted):
                self._accepted(event, balances, waits=event.order_id in parked)
            elif isinstance(event, Trade):
                self._trade(event, balances, last_fills)
            elif isinstance(event, OrderClosed):
                self._closed(event, balances, met.get(event.order_id), cancel_id)
            elif isinstance(event, OrderReviewed) and event.decision == Review.RELEASE:
                self._released(event)
            elif isinstance(event, OrderTriggered):
                self._triggered(event)
            elif isinstance(event, OrderAmended):
                self._amended(event, balances)
            elif isinstance(event, PreventedMatch):
                met[event.taker_order_id] = met[event.maker_order_id] = event
                if event.stp_mode == StpMode.DECREMENT:
                    self._decremented(event, balances)
            elif isinstance(event, PendingEntered):
                self._entered(event, balances)
            elif isinstance(event, ListChanged):
                self._list_changed(event, lists)
            elif isinstance(event, Allocated):
                self._allocated(event, balances)
            elif isinstance(event, MoneyMoved):
                self._money(event, balances)
        for changed in lists:
            self._tell_list(changed)
        if balances:
            self._tell(userevents.account_position(self._markets, balances, time_ms, now_ms()))
        if self._told:
            told, self._told = Told(self._told, self.seq), []
            for listener in tuple(self.listeners):
                if told.seq > listener.after_seq:
                    listener.tell(told)

    def on_lost(self) -> None:
        """Events are missing: end every stream, so that clients subscribe again and load what they missed."""
        self.lost = True
        for listener in tuple(self.listeners):
            listener.end()

    def _tell(self, event: dict[str, Any]) -> None:
        """Once the whole command is known."""
        self._told.append(event)

    def _pays_with(self, market_id: int, side: int) -> int:
        market = self._markets.by_id[market_id]
        return market.quote.id if side == Side.BUY else market.base.id

    def _accepted(self, event: OrderAccepted, balances: dict[int, tuple[int, int]], *, waits: bool) -> None:
        """`waits`: it is parked for review."""
        pending = bool(event.flags & AcceptedFlag.PENDING)
        list_id = next((list_id for list_id, members in self._members.items() if event.order_id in members), 0)
        if list_id:
            self._members[list_id][event.order_id] = event.client_id
        view = OrderView(
            order_id=event.order_id, client_id=event.client_id, side=event.side, kind=event.order_kind,
            time_in_force=event.time_in_force, stp_mode=event.stp_mode, price_ticks=event.price_ticks,
            quantity_lots=event.quantity_lots, budget_units=event.budget_units, filled_lots=0, filled_quote_units=0,
            status=OrderStatus.PENDING_NEW if waits or pending else OrderStatus.NEW, created_ms=event.cmd_ms,
            updated_ms=event.cmd_ms, display_lots=event.display_lots, expires_ms=event.expires_ms,
            stop_price_ticks=event.stop_price_ticks, trailing_bips=event.trailing_bips,
            is_waiting=bool(event.flags & AcceptedFlag.WAITING), list_id=list_id, is_pending=pending,
            strategy_id=event.strategy_id if event.flags & HAS_STRATEGY_ID else None,
            strategy_type=event.strategy_type if event.flags & HAS_STRATEGY_TYPE else None,
        )  # fmt: skip
        self._orders[event.order_id] = Known(view, event.market_id)
        # A market buy by quantity and a pending order hold nothing; its balances did not change.
        if not pending and not (
            event.order_kind == OrderKind.MARKET and event.side == Side.BUY and not event.budget_units
        ):
            balances[self._pays_with(event.market_id, event.side)] = (event.available_units, event.held_units)
        self._report("NEW", view, event)

    def _trade(self, event: Trade, balances: dict[int, tuple[int, int]], last_fills: dict[int, int]) -> None:
        market = self._markets.by_id[event.market_id]
        # With both sides in one account (it is prevented today) the taker's report comes first.
        for is_taker, account_id in ((True, event.account_id), (False, event.maker_account_id)):
            if account_id != self.account_id:
                continue
            if is_taker:
                balances[market.base.id] = (event.taker_base_available, event.taker_base_held)
                balances[market.quote.id] = (event.taker_quote_available, event.taker_quote_held)
            else:
                balances[market.base.id] = (event.maker_base_available, event.maker_base_held)
                balances[market.quote.id] = (event.maker_quote_available, event.maker_quote_held)
            order_id = event.taker_order_id if is_taker else event.maker_order_id
            known = self._orders.get(order_id)
            if known is None:
                log.error("a trade of an order that is not known", order_id=order_id, seq=event.seq)
                continue
            done = bool(event.flags & (TradeFlag.TAKER_DONE if is_taker else TradeFlag.MAKER_DONE))
            done = done or last_fills.get(order_id) == event.seq
            known.view = replace(
                known.view,
                filled_lots=known.view.filled_lots + event.quantity_lots,
                filled_quote_units=known.view.filled_quote_units
                + market.quote_units(event.price_ticks, event.quantity_lots),
                status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED,
            )
            self._report("TRADE", known.view, event, trade=event, is_taker=is_taker)
            if done:
                del self._orders[order_id]

    def _closed(
        self, event: OrderClosed, balances: dict[int, tuple[int, int]], match: PreventedMatch | None, cancel_id: str
    ) -> None:  # fmt: skip
        """`match`: the last one under this command that met the order; `cancel_id`: the cancel's own, if it is one."""
        balances[self._pays_with(event.market_id, event.side)] = (event.available_units, event.held_units)
        known = self._orders.pop(event.order_id, None)
        if _is_filled(event):
            return
        if known is None:
            log.error("the end of an order that is not known", order_id=event.order_id, seq=event.seq)
            return
        view = replace(known.view, status=event.status, reason=event.reason)
        if event.status == OrderStatus.EXPIRED_IN_MATCH and match is not None:
            self._report("TRADE_PREVENTION", view, event, prevented=match)
            return
        kind = _ENDS.get(event.status, "EXPIRED")
        self._report(kind, view, event, cancel_id=cancel_id if kind == "CANCELED" else "")

    def _released(self, event: OrderReviewed) -> None:
        """It is on its way into the book; what it does there follows."""
        known = self._orders.get(event.order_id)
        if known is None:
            log.error("the release of an order that is not known", order_id=event.order_id, seq=event.seq)
            return
        known.view = replace(known.view, status=OrderStatus.NEW)
        self._report("NEW", known.view, event)

    def _triggered(self, event: OrderTriggered) -> None:
        """The order works from now on; its hold is what it was."""
        known = self._orders.get(event.order_id)
        if known is None:
            log.error("the trigger of an order that is not known", order_id=event.order_id, seq=event.seq)
            return
        known.view = replace(known.view, is_waiting=False, working_ms=event.cmd_ms)
        self._report("NEW", known.view, event)

    def _amended(self, event: OrderAmended, balances: dict[int, tuple[int, int]]) -> None:
        balances[self._pays_with(event.market_id, event.side)] = (event.available_units, event.held_units)
        known = self._orders.get(event.order_id)
        if known is None:
            log.error("an amendment of an order that is not known", order_id=event.order_id, seq=event.seq)
            return
        known.view = replace(known.view, quantity_lots=event.quantity_lots)
        self._report("REPLACED", known.view, event)

    def _decremented(self, event: PreventedMatch, balances: dict[int, tuple[int, int]]) -> None:
        """What both orders held for it is free. An order that goes on is reported here, one that ends when it does."""
        makers_side = Side.SELL if event.taker_side == Side.BUY else Side.BUY
        if event.account_id == self.account_id:
            taker_pays = self._pays_with(event.market_id, event.taker_side)
            balances[taker_pays] = (event.taker_available, event.taker_held)
        if event.maker_account_id == self.account_id:
            balances[self._pays_with(event.market_id, makers_side)] = (event.maker_available, event.maker_held)
        for account_id, order_id, left_lots in (
            (event.account_id, event.taker_order_id, event.taker_left_lots),
            (event.maker_account_id, event.maker_order_id, event.maker_left_lots),
        ):
            known = self._orders.get(order_id)
            if account_id != self.account_id or known is None or known.view.budget_units:
                continue
            known.view = replace(known.view, prevented_lots=known.view.prevented_lots + event.prevented_lots)
            if left_lots:
                self._report("TRADE_PREVENTION", known.view, event, prevented=event)

    def _entered(self, event: PendingEntered, balances: dict[int, tuple[int, int]]) -> None:
        """A pending order of a list holds its funds and begins."""
        balances[self._pays_with(event.market_id, event.side)] = (event.available_units, event.held_units)
        known = self._orders.get(event.order_id)
        if known is None:
            log.error("the turn of an order that is not known", order_id=event.order_id, seq=event.seq)
            return
        waits = bool(event.flags & EnteredFlag.WAITING)
        known.view = replace(
            known.view, status=OrderStatus.NEW, is_pending=False, is_waiting=waits,
            working_ms=0 if waits else event.cmd_ms,
        )  # fmt: skip
        self._report("NEW", known.view, event)

    def _list_changed(self, event: ListChanged, lists: list[ListChanged]) -> None:
        """It is told behind what its orders did under the command."""
        lists.append(event)
        if event.status == ListStatus.EXEC_STARTED:
            ids = (event.order_id_1, event.order_id_2, event.order_id_3)
            self._members[event.list_id] = {order_id: "" for order_id in ids if order_id}

    def _tell_list(self, event: ListChanged) -> None:
        members = self._members.get(event.list_id, {})
        market = self._markets.by_id[event.market_id]
        self._tell(userevents.list_status(market, event, list(members.items()), now_ms()))
        if event.status == ListStatus.ALL_DONE:
            self._members.pop(event.list_id, None)

    def _allocated(self, event: Allocated, balances: dict[int, tuple[int, int]]) -> None:
        """A share of a block order, which is its owner's: of this account only the balances change."""
        market, filled = self._markets.by_id[event.market_id], event.step == AllocationStep.FILLED
        if filled or event.side == Side.SELL:
            balances[market.base.id] = (event.base_available, event.base_held)
        if filled or event.side == Side.BUY:
            balances[market.quote.id] = (event.quote_available, event.quote_held)

    def _money(self, event: MoneyMoved, balances: dict[int, tuple[int, int]]) -> None:
        if event.account_id == self.account_id:
            balances[event.asset_id] = (event.available_units, event.held_units)
        if event.to_account_id == self.account_id:
            balances[event.asset_id] = (event.to_available_units, event.to_held_units)
        delta = userevents.balance_delta(event, self.account_id)
        if delta:
            code = self._markets.asset_code(event.asset_id)
            self._tell(userevents.balance_update(code, delta, event.cmd_ms, now_ms()))

    def _report(self, kind: str, view: OrderView, event: Any, **details: Any) -> None:
        market = self._markets.by_id[event.market_id]
        self._tell(userevents.execution_report(kind, view, market, event, now_ms(), **details))


def _is_filled(event: OrderClosed) -> bool:
    return event.status == OrderStatus.FILLED
