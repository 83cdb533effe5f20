"""The sweep of an incoming order, and the same run on paper (matching-rules 2 to 4)."""

from dataclasses import dataclass

from apps.streams.events import IcebergRefilled, PreventedMatch, Trade
from apps.streams.kinds import (
    AllocatedFlag,
    AllocationStep,
    OrderStatus,
    Reason,
    Side,
    StpMode,
    TradeFlag,
    Waiting,
)
from tests.oracle import breakers, shares, states, stops
from tests.oracle.ending import after_end, close, end_other_leg, has_expired, in_reach, other_leg
from tests.oracle.world import Account, Market, Order, Share, World


def ceil_ppm(units: int, ppm: int) -> int:
    return -(-units * ppm // 1_000_000)


# On paper


@dataclass(slots=True)
class Rehearsal:
    """What an order would print now, without anything happening."""

    lots: int = 0
    quote: int = 0


@dataclass(slots=True)
class Copy:
    """A resting order on paper."""

    order: Order
    priority: int
    tip: int
    reserve: int

    @property
    def rank(self) -> tuple[int, int]:
        return (-self.order.price if self.order.side == Side.BUY else self.order.price), self.priority


class Paper:
    """The makers, and what waits for a print, while a run is tried on paper: each print is evaluated (docs: FIFO)."""

    def __init__(self, world: World, taker: Order) -> None:
        opposite = Side.SELL if taker.side == Side.BUY else Side.BUY
        self.makers = [Copy(m, m.priority, m.tip, m.left - m.tip) for m in world.book(taker.market, opposite)]
        waiting = [
            o for o in world.orders.values() if o.market is taker.market and o.waiting == Waiting.CONDITIONAL and o.list
        ]
        self.bests = {o.order_id: (o, o.best) for o in waiting}
        self.behind = world.seq + 1_000_000  # a refill stands behind everything that is in the book

    def end(self, maker: Copy) -> None:
        self.makers.remove(maker)

    def take(self, maker: Copy, lots: int) -> None:
        """By a print or by DECREMENT: the other order of its OCO ends, and the next tip goes to the back."""
        for other in other_leg(maker.order):
            self.bests.pop(other.order_id, None)
        maker.tip -= lots
        if maker.tip == 0 and maker.reserve == 0:
            self.end(maker)
        elif maker.tip == 0:
            self.behind += 1
            maker.priority, maker.tip = self.behind, min(maker.order.display, maker.reserve)
            maker.reserve -= maker.tip

    def evaluate(self, last: int) -> None:
        """What the print triggers waits no more, and the other order of its OCO leaves the book."""
        for order, best in list(self.bests.values()):
            best = stops.next_best(order, best, last) if order.trailing else 0
            self.bests[order.order_id] = (order, best)
            if stops.fires(order, best, last):
                del self.bests[order.order_id]
                self.makers = [m for m in self.makers if m.order not in other_leg(order)]


def rehearse(world: World, order: Order) -> Rehearsal:
    """Runs the sweep over copies of the makers."""
    paper = Paper(world, order)
    left, budget, seen = order.left, order.budget_left, Rehearsal()
    prints: list[tuple[int, int, int]] = []
    while paper.makers and (order.budget or left > 0):
        maker = min(paper.makers, key=lambda copy: copy.rank)
        price = maker.order.price
        cost = order.market.notional(price, 1)
        if order.budget:
            left = budget // cost
            if left == 0:
                break
        elif not in_reach(order, price):
            break
        if has_expired(maker.order, world.now):
            paper.end(maker)
            continue
        lots = min(left, maker.tip)
        if maker.order.account.family == order.account.family:
            if order.stp_mode == StpMode.EXPIRE_MAKER:
                paper.end(maker)
                continue
            if order.stp_mode != StpMode.DECREMENT:
                break
            paper.take(maker, lots)
        else:
            if breakers.forbidding(world, order.market, price, prints) is not None:
                break
            prints.append((world.now, price, lots))
            seen.lots += lots
            seen.quote += lots * cost
            paper.take(maker, lots)
            paper.evaluate(price)
        left -= lots
        budget -= lots * cost
    return seen


# For real


def refill(world: World, order: Order) -> None:
    """The next tip of an iceberg goes to the back: its priority is the seq of this event."""
    order.tip = min(order.display, order.left)
    order.priority = world.seq + 1
    world.emit(
        IcebergRefilled,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        tip_lots=order.tip,
        level_lots=world.level(order.market, order.side, order.price),
        side=order.side,
    )


def fee_rates(market: Market, account: Account) -> tuple[int, int]:
    """(maker ppm, taker ppm) of the account's tier; above the last tier the last."""
    fees = market.settings.fees
    return fees[min(account.fee_tier, len(fees) - 1)]


def print_trade(world: World, taker: Order, maker: Order, lots: int, agg_id: int, *, auction_price: int = 0) -> None:
    """One print at the maker's price, with fees and rebate (matching-rules 1); in an auction both were resting."""
    market, price = taker.market, auction_price or maker.price
    quote, base = market.notional(price, lots), lots * market.settings.lot_size
    taker_receives, maker_receives = (base, quote) if taker.side == Side.BUY else (quote, base)
    taker_asset, maker_asset = (market.base, market.quote) if taker.side == Side.BUY else (market.quote, market.base)

    taker_fee = ceil_ppm(taker_receives, fee_rates(market, taker.account)[1])
    maker_ppm = fee_rates(market, maker.account)[0]
    if maker_ppm >= 0:
        maker_fee, rebate = ceil_ppm(maker_receives, maker_ppm), 0
    else:
        maker_fee, rebate = 0, min(taker_receives * -maker_ppm // 1_000_000, taker_fee - -(-taker_fee // 10))

    for order in (taker, maker):
        order.filled += lots
        order.filled_quote += quote
    if taker.budget:
        taker.budget_left -= quote
    if taker.is_conditional and taker.is_market and taker.side == Side.BUY:
        taker.hold_left -= quote
    if auction_price:
        for order in (taker, maker):
            order.tip = min(order.display, order.left) if order.display else order.left
    else:
        maker.tip -= lots
        breakers.record(world, market, price, lots)
    market.last_price = price
    market.trade_id += 1

    # What each side gives and gets, block orders by sub-account
    told: list[tuple[Order, Share, int, int]] = []  # (order, share, lots, its fee)
    for order, fee, back, receives, pays in (
        (taker, taker_fee, 0, taker_asset, maker_asset),
        (maker, maker_fee, rebate, maker_asset, taker_asset),
    ):
        parts = shares.owners(order, lots)
        fees = shares.largest_remainder(fee or back, [count for _, _, count in parts])
        for (share, account, count), part in zip(parts, fees, strict=True):
            money = {market.quote: market.notional(price, count), market.base: count * market.settings.lot_size}
            world.add(account, receives, money[receives] - (part if fee else 0))
            world.add(account, pays, (part if back else 0) - money[pays])
            if share is not None:
                share.allocated += count
                told.append((order, share, count, part if fee else -part))
    world.fees[taker_asset] = world.fees.get(taker_asset, 0) + taker_fee - rebate
    world.fees[maker_asset] = world.fees.get(maker_asset, 0) + maker_fee

    taker_done = not taker.budget and taker.left == 0
    maker_done = maker.left == 0
    flags = TradeFlag.TAKER_IS_BUYER if taker.side == Side.BUY else 0
    if auction_price:
        flags |= TradeFlag.AUCTION
    if maker_done:
        flags |= TradeFlag.MAKER_DONE
        world.forget_order(maker)
    if taker_done:
        flags |= TradeFlag.TAKER_DONE
        world.forget_order(taker)
    taker_base, taker_quote = world.balance(taker.account, market.base), world.balance(taker.account, market.quote)
    maker_base, maker_quote = world.balance(maker.account, market.base), world.balance(maker.account, market.quote)
    world.emit(
        Trade,
        flags=flags,
        market_id=market.market_id,
        account_id=taker.account.account_id,
        trade_id=market.trade_id,
        agg_id=agg_id,
        maker_account_id=maker.account.account_id,
        maker_order_id=maker.order_id,
        taker_order_id=taker.order_id,
        price_ticks=price,
        quantity_lots=lots,
        taker_fee_units=taker_fee,
        maker_fee_units=maker_fee - rebate,
        taker_base_available=taker_base[0],
        taker_base_held=taker_base[1],
        taker_quote_available=taker_quote[0],
        taker_quote_held=taker_quote[1],
        maker_base_available=maker_base[0],
        maker_base_held=maker_base[1],
        maker_quote_available=maker_quote[0],
        maker_quote_held=maker_quote[1],
        level_lots=0 if auction_price else world.level(market, maker.side, price),
        maker_left_lots=maker.left,
    )
    for order, share, count, fee in told:
        flags = AllocatedFlag.TAKER if order is taker else 0
        trade = {"flags": flags, "trade_id": market.trade_id, "price_ticks": price, "fee_units": fee}
        shares.tell(world, order, share, AllocationStep.FILLED, count, **trade)
    if not maker_done and maker.tip == 0:
        refill(world, maker)
    for order in (maker, taker):
        end_other_leg(world, order)
    if maker_done:
        after_end(world, maker, OrderStatus.FILLED, Reason.NONE)
    if taker_done and auction_price:
        after_end(world, taker, OrderStatus.FILLED, Reason.NONE)


def prevent(world: World, taker: Order, maker: Order, lots: int) -> bool:
    """A prevented match by the taker's mode; whether the sweep goes on."""
    market, mode = taker.market, taker.stp_mode
    market.prevented_id += 1
    common = {
        "reason": Reason.SELF_TRADE,
        "market_id": market.market_id,
        "account_id": taker.account.account_id,
        "prevented_id": market.prevented_id,
        "taker_order_id": taker.order_id,
        "maker_order_id": maker.order_id,
        "maker_account_id": maker.account.account_id,
        "price_ticks": maker.price,
        "prevented_lots": lots,
        "stp_mode": mode,
    }
    in_match, self_trade = OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE
    if mode != StpMode.DECREMENT:
        world.emit(PreventedMatch, **common)
        if mode in (StpMode.EXPIRE_MAKER, StpMode.EXPIRE_BOTH):
            close(world, maker, in_match, self_trade)
        if mode in (StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH):
            close(world, taker, in_match, self_trade)
        return mode == StpMode.EXPIRE_MAKER

    if taker.budget:
        taker.budget_left -= market.notional(maker.price, lots)
    else:
        taker.prevented += lots
        if taker.hold_left:
            taker.hold_left -= market.notional(maker.price, lots)
    maker.prevented += lots
    maker.tip -= lots
    shares_told = [shares.take_off(world, order, lots) for order in (taker, maker)]
    taker_available, taker_held = world.balance(taker.account, taker.pays_with)
    maker_available, maker_held = world.balance(maker.account, maker.pays_with)
    world.emit(
        PreventedMatch,
        **common,
        taker_side=taker.side,
        taker_available=taker_available,
        taker_held=taker_held,
        maker_available=maker_available,
        maker_held=maker_held,
        level_lots=world.level(market, maker.side, maker.price),
        taker_left_lots=0 if taker.budget else taker.left,
        maker_left_lots=maker.left,
    )
    for tell in shares_told:
        tell()
    for order in (maker, taker):
        end_other_leg(world, order)
    if maker.left == 0:
        close(world, maker, in_match, self_trade)
    elif maker.tip == 0:
        refill(world, maker)
    if not taker.budget and taker.left == 0:
        close(world, taker, in_match, self_trade)
        return False
    return True


def sweep(world: World, taker: Order) -> None:
    """Per maker: price limit, expired by time, self-trade, print. Ends the order where it ends in the sweep."""
    market = taker.market
    opposite = Side.SELL if taker.side == Side.BUY else Side.BUY
    printed_at: int | None = None
    last_was_prevented = False
    while taker.order_id in world.orders:
        maker = world.best(market, opposite)
        if maker is None:
            if taker.budget and taker.budget_left == 0:
                end_of_budget(world, taker, last_was_prevented)
            return
        if taker.budget:
            left = taker.budget_left // market.notional(maker.price, 1)
            if left == 0:
                end_of_budget(world, taker, last_was_prevented)
                return
        else:
            left = taker.left
            if not in_reach(taker, maker.price):
                return
        if taker.is_conditional and taker.is_market and taker.side == Side.BUY:
            left = min(left, taker.hold_left // market.notional(maker.price, 1))
            if left == 0:
                close(world, taker, OrderStatus.EXPIRED, Reason.HOLD_SPENT)
                return
        if has_expired(maker, world.now):
            close(world, maker, OrderStatus.EXPIRED, Reason.EXPIRED_BY_TIME)
            continue
        lots = min(left, maker.tip)
        if maker.account.family == taker.account.family:
            last_was_prevented = taker.stp_mode == StpMode.DECREMENT or last_was_prevented
            if not prevent(world, taker, maker, lots):
                return
            continue
        rule = breakers.forbidding(world, market, maker.price, [])
        if rule is not None:
            close(world, taker, OrderStatus.EXPIRED, Reason.BREAKER)
            if market.notional(maker.price, left) >= market.settings.breaker_min_notional_units:
                states.halt(world, market, rule)
            return
        if maker.price != printed_at:
            printed_at = maker.price
            market.agg_id += 1
        print_trade(world, taker, maker, lots, market.agg_id)
        stops.evaluate(world, market)
        if taker.order_id not in world.orders:
            after_end(world, taker, OrderStatus.FILLED, Reason.NONE)
        last_was_prevented = False


def end_of_budget(world: World, taker: Order, last_was_prevented: bool) -> None:
    """The budget buys no lot any more (docs: Market orders)."""
    if last_was_prevented:
        close(world, taker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    else:
        close(world, taker, OrderStatus.FILLED, Reason.BUDGET_SPENT)
