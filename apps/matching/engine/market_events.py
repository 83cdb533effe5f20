"""Events of the journal: a market's state, its call auction and how far it is from a halt."""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.breaker import Distance
from apps.matching.engine.event_batch import EventBatch
from apps.matching.engine.market import Market
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_VERSION, EVENTS

_state_changed = EVENTS[EventKind.MARKET_STATE_CHANGED].struct.pack
_auction_price = EVENTS[EventKind.AUCTION_PRICE].struct.pack
_halt_distance = EVENTS[EventKind.HALT_DISTANCE].struct.pack
_level_changed = EVENTS[EventKind.LEVEL_CHANGED].struct.pack
_trade = EVENTS[EventKind.TRADE].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_STATE_CHANGED: Final = int(EventKind.MARKET_STATE_CHANGED)
_AUCTION_PRICE: Final = int(EventKind.AUCTION_PRICE)
_HALT_DISTANCE: Final = int(EventKind.HALT_DISTANCE)
_LEVEL_CHANGED: Final = int(EventKind.LEVEL_CHANGED)
_TRADE: Final = int(EventKind.TRADE)


class MarketEvents(EventBatch):
    __slots__ = ()

    def market_state_changed(self, market: Market, relay_seq: int, source: int, old_state: int) -> None:
        """The market is in its new state."""
        self.seq = seq = self.seq + 1
        self.emit(
            _state_changed(
                _V, _STATE_CHANGED, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                relay_seq, source, old_state, market.state, market.cause,
                market.until_ms, market.reopens_ms, market.rule_id,
            )
        )  # fmt: skip

    def halt_distance(self, market_id: int, found: Distance) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _halt_distance(
                _V, _HALT_DISTANCE, 0, 0, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0, *found
            )
        )  # fmt: skip

    def auction_price(self, market: Market) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _auction_price(
                _V, _AUCTION_PRICE, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                market.auction_ticks, market.auction_lots,
            )
        )  # fmt: skip

    def auction_trade(
        self,
        market: Market,
        taker: Order,
        maker: Order,
        flags: int,
        price_ticks: int,
        lots: int,
        taker_fee: int,
        maker_fee: int,
    ) -> None:
        """Of two resting orders; the market has given the trade its ids."""
        self.seq = seq = self.seq + 1
        takes, makes = taker.seat, maker.seat
        self.emit(
            _trade(
                _V, _TRADE, flags, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                taker.account.account_id, market.last_trade_id, market.last_agg_id, maker.account.account_id,
                maker.order_id, taker.order_id, price_ticks, lots, taker_fee, maker_fee,
                takes.base.available_units, takes.base.held_units,
                takes.quote.available_units, takes.quote.held_units,
                makes.base.available_units, makes.base.held_units,
                makes.quote.available_units, makes.quote.held_units,
                0, maker.open_lots,
            )
        )  # fmt: skip

    def level_changed(self, market: Market, side: int, price_ticks: int, level_lots: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _level_changed(
                _V, _LEVEL_CHANGED, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                price_ticks, level_lots, side,
            )
        )  # fmt: skip
