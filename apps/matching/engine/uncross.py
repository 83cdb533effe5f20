"""The end of a call phase: everything that crosses is paired at one price, then the market opens (matching-rules.md 7).

Expired orders go first, so what was published is what is traded. Both sides pair in price-time order. The later order
of a pair, by its place, is the taker: fees and flag. Icebergs trade whole, at their place; what is left keeps it and
shows min(display, rest). No level is told by these TRADE events, as a price may stand in none: LEVEL_CHANGED follows
for each level that was touched. Trades in a row of one taker have one agg_id.
"""

from typing import Final

from apps.common.amounts import fee_units, rebate_units
from apps.matching.engine.auction import AuctionPrice
from apps.matching.engine.book import BUY, BookSide, Order
from apps.matching.engine.ending import after_print
from apps.matching.engine.expiry import expire_order, has_expired
from apps.matching.engine.funds import exchange
from apps.matching.engine.market import Market
from apps.matching.engine.open_orders import withdraw_order
from apps.matching.engine.shares import block_of, exchange_shares, hold_per_lot, tell_print
from apps.matching.engine.state import State
from apps.streams.kinds import Side, TradeFlag

_AUCTION: Final = int(TradeFlag.AUCTION)
_TAKER_IS_BUYER: Final = int(TradeFlag.TAKER_IS_BUYER)
_MAKER_DONE: Final = int(TradeFlag.MAKER_DONE)
_TAKER_DONE: Final = int(TradeFlag.TAKER_DONE)


def expire_overdue(state: State, market: Market) -> None:
    """End the market's orders whose time has come, in the order in which their timers would."""
    now_ms = state.journal.now_ms
    if state.timers.due_ms > now_ms:
        return
    overdue = [
        entry
        for entry in state.timers.live_entries(now_ms)
        if isinstance(entry[2], Order) and entry[2].market is market and entry[2].level is not None
    ]
    for _, _, order in sorted(overdue, key=lambda entry: entry[:2]):
        assert isinstance(order, Order)
        if has_expired(order, now_ms):
            expire_order(state, order)


def pair_orders(state: State, market: Market, at: AuctionPrice) -> None:
    """Trade `at.lots` at `at.price_ticks`: both sides have as much at that price or better."""
    left, last_taker = at.lots, None
    touched: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
    while left:
        buyer, seller = _first(market.bids), _first(market.asks)
        lots = min(left, buyer.open_lots, seller.open_lots)
        taker, maker = (buyer, seller) if buyer.priority > seller.priority else (seller, buyer)
        if taker is not last_taker:
            market.last_agg_id += 1
            last_taker = taker
        for side, order in ((Side.BUY, buyer), (Side.SELL, seller)):
            assert order.level is not None
            _take(order, lots)
            touched[side][order.price_ticks] = order.level.lots
        _print(state, market, taker, maker, at.price_ticks, lots)
        for order in (buyer, seller):
            if not order.left_lots:
                withdraw_order(state, order)
        for order in (taker, maker):
            if order.terms is not None and order.terms.order_list is not None:
                after_print(state, order)
        left -= lots
    for side, levels in touched.items():
        for price_ticks, level_lots in levels.items():
            state.journal.level_changed(market, side, price_ticks, level_lots)


def _first(side: BookSide) -> Order:
    order = side.levels[side.keys[-1]].head
    assert order is not None
    return order


def _take(order: Order, lots: int) -> None:
    """So many fewer open lots; an iceberg shows its display of the rest, at the same place."""
    level, terms, rest = order.level, order.terms, order.open_lots - lots
    assert level is not None
    tip = rest
    if terms is not None and terms.display_lots:
        tip = min(terms.display_lots, rest)
        level.hidden_lots += rest - tip - terms.reserve_lots
        terms.reserve_lots = rest - tip
    level.lots += tip - order.left_lots
    order.left_lots = tip


def _print(state: State, market: Market, taker: Order, maker: Order, price_ticks: int, lots: int) -> None:
    """Money and event of one pair, whose open lots are already without this print."""
    lot_cost = price_ticks * market.unit_factor
    base_units, quote_units = lots * market.lot_size, lots * lot_cost
    buying = taker.side == BUY
    taker_gets, maker_gets = (base_units, quote_units) if buying else (quote_units, base_units)
    taker_fee = fee_units(taker_gets, market.taker_ppm[taker.account.fee_tier])
    maker_ppm, rebate = market.maker_ppm[maker.account.fee_tier], 0
    if maker_ppm >= 0:
        maker_fee = maker_pays = fee_units(maker_gets, maker_ppm)
    else:
        rebate = rebate_units(taker_gets, maker_ppm, taker_fee)
        maker_pays, maker_fee = 0, -rebate
    held = hold_per_lot(taker if buying else maker)
    parts = None
    if block_of(taker) is not None or block_of(maker) is not None:
        parts = exchange_shares(market, taker, maker, lots, lot_cost, held, taker_fee, maker_pays, rebate)
    elif buying:
        exchange(market, taker.seat, maker.seat, base_units, quote_units, lots * held, taker_fee, maker_pays, rebate, 0)
    else:
        exchange(market, maker.seat, taker.seat, base_units, quote_units, lots * held, maker_pays, taker_fee, 0, rebate)
    for order in (taker, maker):
        order.filled_lots += lots
        order.filled_quote_units += quote_units
    market.last_price_ticks = price_ticks
    market.last_trade_id += 1
    flags = _AUCTION | (_TAKER_IS_BUYER if buying else 0)
    flags |= (0 if maker.left_lots else _MAKER_DONE) | (0 if taker.left_lots else _TAKER_DONE)
    state.journal.auction_trade(market, taker, maker, flags, price_ticks, lots, taker_fee, maker_fee)
    if parts is not None:
        tell_print(state.journal, taker, maker, parts, market.last_trade_id, price_ticks)
