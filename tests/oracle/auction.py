"""The call auction: what may enter, its price, and how both sides are paired (matching-rules 7)."""

from collections.abc import Iterable

from apps.streams.events import AuctionPrice, LevelChanged, PreventedMatch
from apps.streams.kinds import HaltCause, MarketState, OrderStatus, Reason, Side, StpMode
from tests.oracle import states, stops
from tests.oracle.ending import close, has_expired, in_reach
from tests.oracle.matching import print_trade
from tests.oracle.world import Market, Order, World

LATE_MS = 2_000


def facing_own_family(world: World, order: Order) -> Order | None:
    """The first unexpired order of its own family on the other side that its limit meets."""
    opposite = Side.SELL if order.side == Side.BUY else Side.BUY
    family = [
        other
        for other in in_order(world.book(order.market, opposite), opposite)
        if other.account.family == order.account.family
        and in_reach(order, other.price)
        and not has_expired(other, world.now)
    ]
    return family[0] if family else None


def expire_at_entry(world: World, order: Order, other: Order) -> None:
    """A family never faces itself when orders are paired, whatever the order's mode."""
    market = order.market
    market.prevented_id += 1
    world.emit(
        PreventedMatch,
        reason=Reason.SELF_TRADE,
        market_id=market.market_id,
        account_id=order.account.account_id,
        prevented_id=market.prevented_id,
        taker_order_id=order.order_id,
        maker_order_id=other.order_id,
        maker_account_id=other.account.account_id,
        price_ticks=other.price,
        prevented_lots=min(order.left, other.left),
        stp_mode=StpMode.EXPIRE_TAKER,
    )
    close(world, order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)


def in_order(orders: Iterable[Order], side: int) -> list[Order]:
    """By price, then time."""
    sign = -1 if side == Side.BUY else 1
    return sorted(orders, key=lambda o: (sign * o.price, o.priority))


def price_of(world: World, market: Market) -> tuple[int, int]:
    """(price, lots) that the auction would have now; (0, 0) where nothing crosses."""
    buys = [o for o in world.book(market, Side.BUY) if not has_expired(o, world.now)]
    sells = [o for o in world.book(market, Side.SELL) if not has_expired(o, world.now)]
    best: tuple[int, int, int, int] | None = None
    for price in {o.price for o in buys + sells} | {market.reference}:
        bought = sum(o.left for o in buys if o.price >= price)
        sold = sum(o.left for o in sells if o.price <= price)
        rank = (min(bought, sold), -abs(bought - sold), -abs(price - market.reference), price)
        best = rank if best is None else max(best, rank)
    assert best is not None
    return (best[3], best[0]) if best[0] else (0, 0)


def is_crossed(world: World, market: Market) -> bool:
    bid, ask = world.best(market, Side.BUY), world.best(market, Side.SELL)
    return bid is not None and ask is not None and bid.price >= ask.price


def tell_price(world: World, market: Market) -> None:
    """Indicative price and volume, when they have changed."""
    found = price_of(world, market)
    if found != market.indicative:
        market.indicative = found
        world.emit(AuctionPrice, market_id=market.market_id, price_ticks=found[0], quantity_lots=found[1])


def uncross(world: World, market: Market, price: int) -> None:
    """Pair both sides in price-time order at the one price; the later order of a pair is the taker."""
    buys = in_order((o for o in world.book(market, Side.BUY) if o.price >= price), Side.BUY)
    sells = in_order((o for o in world.book(market, Side.SELL) if o.price <= price), Side.SELL)
    touched: set[tuple[int, int]] = set()  # (side, price)
    last_taker: Order | None = None
    while buys and sells:
        buy, sell = buys[0], sells[0]
        taker, maker = (buy, sell) if buy.priority > sell.priority else (sell, buy)
        if taker is not last_taker:
            last_taker = taker
            market.agg_id += 1
        touched |= {(order.side, order.price) for order in (buy, sell)}
        print_trade(world, taker, maker, min(buy.left, sell.left), market.agg_id, auction_price=price)
        if buy.left == 0:
            buys.pop(0)
        if sell.left == 0:
            sells.pop(0)
    for side, level in sorted(touched, key=lambda t: (t[0], -t[1] if t[0] == Side.BUY else t[1])):
        world.emit(
            LevelChanged,
            market_id=market.market_id,
            price_ticks=level,
            level_lots=world.level(market, side, level),
            side=side,
        )


# Time


def timer(world: World, market: Market) -> None:
    """The end of a halt or of a call phase has come."""
    late = world.now > market.due_ms + LATE_MS
    if market.state == MarketState.HALTED and market.call_ms:
        market.extensions = 0
        until = world.now + market.call_ms if late else market.reopens_ms
        go_on(world, market, MarketState.AUCTION, HaltCause.BREAKER, until)
    elif market.state == MarketState.HALTED and late:
        go_on(world, market, MarketState.HALTED, HaltCause.BREAKER, world.now + LATE_MS)
    elif market.state == MarketState.HALTED:
        states.move(world, market, MarketState.OPEN, HaltCause.NONE)
    elif late:
        go_on(world, market, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED, world.now + extension_ms(market))
    else:
        end_of_call(world, market)


def extension_ms(market: Market) -> int:
    """Length of another call phase by the settings of now; long enough to be noticed in time."""
    return max(LATE_MS, 1_000 * market.settings.call_s)


def go_on(world: World, market: Market, state: int, cause: int, until: int) -> None:
    states.move(world, market, state, cause, until_ms=until, reopens_ms=until, rule_id=market.halt_rule)


def end_of_call(world: World, market: Market) -> None:
    """Expired orders end, then the price is chosen: everything trades at it, or the call phase goes on."""
    gone = [o for o in world.orders.values() if o.market is market and o.resting and has_expired(o, world.now)]
    for order in sorted(gone, key=lambda o: (o.expires_ms, o.accepted_seq)):
        close(world, order, OrderStatus.EXPIRED, Reason.EXPIRED_BY_TIME)
    tell_price(world, market)
    price, _ = price_of(world, market)
    collar = market.settings.collar_bp
    if price and collar and abs(price - market.reference) * 10_000 > collar * market.reference:
        if market.extensions < market.settings.max_extensions:
            market.extensions += 1
            until = market.due_ms + extension_ms(market)
            go_on(world, market, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED, until)
        else:
            states.move(world, market, MarketState.HALTED, HaltCause.NO_AUCTION_PRICE)
        return
    if price:
        uncross(world, market, price)
    states.move(world, market, MarketState.OPEN, HaltCause.NONE)
    if price:
        stops.evaluate(world, market)
