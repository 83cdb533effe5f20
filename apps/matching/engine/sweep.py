"""The matching sweep: price-time priority, at the maker's price (T1, matching-rules.md 2).

Per maker: price limit -> expired by time (it expires, next) -> self-trade -> breaker -> print min(taker's rest, maker's
tip). For an order with a quote budget the price limit means that one lot is affordable at the maker's price. After each
print the conditional orders are evaluated; what triggers takes its turn when this order is done.

The loop and the TRADE event stay in one function: it is the engine's hot spot (engine-figures.md section 5).
"""

from typing import Final

from apps.common.amounts import fee_units, rebate_units
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.breaker import UNKNOWN
from apps.matching.engine.budget import Budget
from apps.matching.engine.ending import after_print
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.expiry import expire_order, has_expired
from apps.matching.engine.funds import exchange, release
from apps.matching.engine.iceberg import refill
from apps.matching.engine.open_orders import forget_order
from apps.matching.engine.reach import NO_LIMIT
from apps.matching.engine.selftrade import DECREMENT, ENDS_TAKER, prevent_match
from apps.matching.engine.shares import exchange_shares, tell_print
from apps.matching.engine.state import State
from apps.matching.engine.triggers import evaluate
from apps.streams.kinds import EventKind, Reason, TradeFlag
from apps.streams.records import EVENT_VERSION, EVENTS

_trade = EVENTS[EventKind.TRADE].struct.pack
_NO_LIQUIDITY: Final = Reason.NO_LIQUIDITY
_BUDGET_SPENT: Final = Reason.BUDGET_SPENT
_SELF_TRADE: Final = Reason.SELF_TRADE
_BREAKER: Final = Reason.BREAKER
_V: Final = EVENT_VERSION
_TRADE: Final = int(EventKind.TRADE)
_TAKER_IS_BUYER: Final = int(TradeFlag.TAKER_IS_BUYER)
_MAKER_DONE: Final = int(TradeFlag.MAKER_DONE)
_TAKER_DONE: Final = int(TradeFlag.TAKER_DONE)


def sweep(state: State, taker: Order, worst_key: int, budget: Budget | None = None) -> Reason | None:
    """Print `taker` against the opposite side down to `worst_key`; why it stopped, None at its limit or when filled.

    With a `budget` that decides instead of the taker's quantity, or, of a triggered market buy, with it. Reasons:
    NO_LIQUIDITY (book at its end), BUDGET_SPENT (no lot is affordable any more), SELF_TRADE (the caller expires the
    rest, which DECREMENT may have taken off whole), BREAKER (the caller expires the rest, then asks halt.py).
    """
    market, journal, seat = taker.market, state.journal, taker.seat
    account_id, family_id = taker.account.account_id, taker.account.family_id
    taker_ppm = market.taker_ppm[taker.account.fee_tier]
    base, quote = seat.base, seat.quote
    buying, by_budget = taker.side == BUY, budget is not None
    budget_units, capped = (0, False) if budget is None else (budget.rest_units(), budget.capped)
    watched = market.conditional  # none is added while a sweep runs
    overdue = state.timers.due_ms <= journal.now_ms  # more timers than may run before one command
    side = market.asks if buying else market.bids
    keys = side.keys
    wanted = taker.left_lots
    takers_block = None if taker.terms is None else taker.terms.block
    breaker = market.breaker
    limit_key = NO_LIMIT if breaker is None else UNKNOWN  # of the worst level that no breaker forbids

    while keys:
        key = keys[-1]
        if key < worst_key:
            return None
        level = side.levels[key]
        price_ticks = level.price_ticks
        lot_cost = price_ticks * market.unit_factor
        # Quote that a buying taker's hold falls by for each lot: a limit order holds its limit price, a budget what
        # it spends, a market order by quantity holds nothing.
        hold_per_lot = lot_cost if by_budget else taker.price_ticks * market.unit_factor
        agg_id = 0
        maker = level.head
        while maker is not None:
            if by_budget:
                wanted = budget_units // lot_cost
                if capped and wanted > taker.left_lots:
                    wanted = taker.left_lots
                if not wanted:
                    return _BUDGET_SPENT
            if overdue and has_expired(maker, journal.now_ms):
                expire_order(state, maker)
                maker = level.head
                continue
            if maker.account.family_id == family_id:
                prevent_match(state, taker, maker, wanted, budget)
                if taker.stp_mode in ENDS_TAKER:
                    return _SELF_TRADE
                if budget is not None:
                    budget_units = budget.rest_units()
                    if capped and not taker.left_lots:
                        return _SELF_TRADE
                elif taker.stp_mode == DECREMENT:
                    wanted = taker.left_lots
                    if not wanted:
                        return _SELF_TRADE
                maker = level.head
                continue
            if key < limit_key:
                assert breaker is not None
                limit_key = breaker.admit(journal.now_ms, taker, price_ticks, market.last_price_ticks)
                if key < limit_key:
                    breaker.rest_units = wanted * lot_cost
                    return _BREAKER

            terms, block = maker.terms, takers_block
            if terms is None:
                reserve = 0
            else:
                reserve, block, printed = terms.reserve_lots, terms.block or block, maker
            maker_left = maker.left_lots
            lots = wanted if wanted < maker_left else maker_left
            maker_left -= lots
            wanted -= lots
            base_units, quote_units = lots * market.lot_size, lots * lot_cost

            taker_gets, maker_gets = (base_units, quote_units) if buying else (quote_units, base_units)
            taker_fee = fee_units(taker_gets, taker_ppm)
            maker_ppm = market.maker_ppm[maker.account.fee_tier]
            if maker_ppm >= 0:
                rebate, maker_fee = 0, fee_units(maker_gets, maker_ppm)
                maker_pays = maker_fee
            else:
                rebate, maker_pays = rebate_units(taker_gets, maker_ppm, taker_fee), 0
                maker_fee = -rebate
            maker_seat = maker.seat
            if block is not None:
                flags = _TAKER_IS_BUYER if buying else 0
                parts = exchange_shares(
                    market, taker, maker, lots, lot_cost, hold_per_lot if buying else lot_cost,
                    taker_fee, maker_pays, rebate,
                )  # fmt: skip
                if capped and lots == taker.left_lots:
                    release(quote, budget_units - quote_units)  # what is left of the hold
            elif buying:
                flags = _TAKER_IS_BUYER
                released = lots * hold_per_lot
                if capped and lots == taker.left_lots:
                    released = budget_units  # all that is left of the hold
                exchange(market, seat, maker_seat, base_units, quote_units, released, taker_fee, maker_pays, rebate, 0)
            else:
                flags = 0
                exchange(
                    market, maker_seat, seat, base_units, quote_units, quote_units, maker_pays, taker_fee, 0, rebate
                )

            level.lots = level_lots = level.lots - lots
            maker.left_lots = maker_left
            maker.filled_lots += lots
            maker.filled_quote_units += quote_units
            taker.filled_lots += lots
            taker.filled_quote_units += quote_units
            if by_budget:
                budget_units -= quote_units
                if capped:
                    wanted = taker.left_lots - lots
            if capped or not by_budget:
                taker.left_lots = wanted
                if not wanted:
                    flags |= _TAKER_DONE
            if not maker_left and not reserve:
                flags |= _MAKER_DONE

            market.last_price_ticks = price_ticks
            market.last_trade_id = trade_id = market.last_trade_id + 1
            if not agg_id:
                market.last_agg_id = agg_id = market.last_agg_id + 1
            journal.seq = seq = journal.seq + 1
            maker_base, maker_quote = maker_seat.base, maker_seat.quote
            journal.emit(
                _trade(
                    _V, _TRADE, flags, 0, market.market_id, seq, journal.now_ms, journal.cmd_n, journal.cmd_index,
                    account_id, trade_id, agg_id, maker.account.account_id, maker.order_id, taker.order_id,
                    price_ticks, lots, taker_fee, maker_fee,
                    base.available_units, base.held_units, quote.available_units, quote.held_units,
                    maker_base.available_units, maker_base.held_units,
                    maker_quote.available_units, maker_quote.held_units,
                    level_lots, maker_left + reserve,
                )
            )  # fmt: skip
            if block is not None:
                tell_print(journal, taker, maker, parts, trade_id, price_ticks)

            if not maker_left and reserve:
                assert terms is not None
                refill(state, maker, terms)
                maker = level.head
            elif not maker_left:
                following = maker.next
                maker.level = maker.next = None
                forget_order(state, maker)
                level.head = following
                if following is None:
                    level.tail = None
                    if level_lots:
                        raise InvariantBroken("a level without orders still has lots")
                    side.drop(key)
                else:
                    following.prev = None
                maker = following
            if terms is not None and terms.order_list is not None:
                after_print(state, printed)
            if watched is not None and not watched.low < price_ticks < watched.high:
                evaluate(state, market, price_ticks)
                maker = level.head
            if flags & _TAKER_DONE:
                return None
    return _NO_LIQUIDITY
