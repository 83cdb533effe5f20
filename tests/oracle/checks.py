"""What a new order is asked, in the order of matching-rules 2. Each step gives a reason or Reason.NONE."""

from apps.streams.commands import PlaceOrder
from apps.streams.kinds import (
    CONDITIONAL_KINDS,
    MarketState,
    OrderKind,
    Reason,
    Side,
    StpMode,
    TimeInForce,
    Waiting,
)
from tests.oracle import stops
from tests.oracle.ending import would_match
from tests.oracle.matching import Rehearsal
from tests.oracle.world import AMOUNT_MAX, LIMIT_KINDS, MARKET_FORMS, Market, Order, World

ICEBERG_PARTS_MAX = 100
TRAILING_MIN, TRAILING_MAX = 10, 2_000
REFUSING_STATES = {
    MarketState.PRE_LAUNCH: Reason.MARKET_NOT_OPEN,
    MarketState.HALTED: Reason.MARKET_HALTED,
    MarketState.AUCTION: Reason.MARKET_AUCTION,
    MarketState.CANCEL_ONLY: Reason.MARKET_CANCEL_ONLY,
    MarketState.CLOSED: Reason.MARKET_CLOSED,
}


def format_of(world: World, order: PlaceOrder, *, readable: bool, is_block: bool) -> Reason:
    """Format and settings version. `readable` says that its text is ASCII and that it has no frame too many."""
    if not readable or not is_known(order):
        return Reason.MALFORMED
    if order.market_id not in world.markets:
        return Reason.UNKNOWN_MARKET
    if order.account_id not in world.accounts:
        return Reason.UNKNOWN_ACCOUNT
    if not is_well_formed(order) or (is_block and not may_be_block(order)):
        return Reason.MALFORMED
    if order.settings_version < world.markets[order.market_id].settings.settings_version:
        return Reason.STALE_SETTINGS
    return Reason.NONE


def is_known(o: PlaceOrder) -> bool:
    """A known side, self-trade mode and kind."""
    return o.side in list(Side) and o.stp_mode in list(StpMode) and o.order_kind in list(OrderKind)


def is_well_formed(o: PlaceOrder) -> bool:
    """Fields of its kind, and no others."""
    amounts = (o.price_ticks, o.quantity_lots, o.budget_units, o.display_lots, o.expires_ms, o.stop_price_ticks)
    if min(amounts) < 0:
        return False
    has_trigger = o.stop_price_ticks > 0 or o.trailing_bips > 0
    if has_trigger != (o.order_kind in CONDITIONAL_KINDS) or (has_trigger and o.budget_units):
        return False
    if o.order_kind in MARKET_FORMS:
        unused = (o.price_ticks, o.display_lots, o.expires_ms, o.time_in_force)
        return not any(unused) and (o.quantity_lots > 0) != (o.budget_units > 0)
    allowed = [TimeInForce.GTC, TimeInForce.GTD]
    if o.order_kind != OrderKind.LIMIT_MAKER:
        allowed += [TimeInForce.IOC, TimeInForce.FOK]
    can_rest = o.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
    return (
        o.time_in_force in allowed
        and o.price_ticks > 0
        and o.quantity_lots > 0
        and o.budget_units == 0
        and (o.expires_ms > 0) == (o.time_in_force == TimeInForce.GTD)
        and (o.display_lots == 0 or (can_rest and o.display_lots <= o.quantity_lots))
    )


def state_of(world: World, order: Order) -> Reason:
    state = order.market.state
    if state == MarketState.OPEN:
        return Reason.NONE
    if state == MarketState.POST_ONLY:
        if order.kind == OrderKind.LIMIT_MAKER:
            return Reason.NONE
        if order.kind == OrderKind.LIMIT and not would_match(world, order):
            return Reason.NONE
        return Reason.MARKET_POST_ONLY
    can_rest = order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
    if state == MarketState.AUCTION and order.kind == OrderKind.LIMIT and can_rest:
        return Reason.NONE
    return REFUSING_STATES[MarketState(state)]


def filters_of(world: World, order: Order) -> Reason:
    settings, market = order.market.settings, order.market
    entering = order.waiting == Waiting.CONDITIONAL
    if entering and order.stop and not settings.min_price_ticks <= order.stop <= settings.max_price_ticks:
        return Reason.PRICE_FILTER
    if entering and order.trailing and not TRAILING_MIN <= order.trailing <= TRAILING_MAX:
        return Reason.TRAILING_DELTA
    if not order.is_market:
        if not settings.min_price_ticks <= order.price <= settings.max_price_ticks:
            return Reason.PRICE_FILTER
        if not settings.min_lots <= order.quantity <= settings.max_lots:
            return Reason.LOT_SIZE
        reason = notional_of(market, market.notional(order.price, order.quantity))
        if reason:
            return reason
        if 0 < order.display < settings.min_lots:
            return Reason.LOT_SIZE
        if order.display and order.quantity > ICEBERG_PARTS_MAX * order.display:
            return Reason.ICEBERG_PARTS
        if order.time_in_force == TimeInForce.GTD and order.expires_ms <= world.now:
            return Reason.EXPIRY_PASSED
        return Reason.NONE
    if order.budget:
        if order.budget > AMOUNT_MAX:
            return Reason.OVERFLOW
        best = world.best(market, Side.SELL if order.side == Side.BUY else Side.BUY)
        fits = best is None or order.budget >= market.notional(best.price, 1)
        return notional_of(market, order.budget) or (Reason.NONE if fits else Reason.LOT_SIZE)
    if not settings.min_lots <= order.quantity <= settings.max_lots:
        return Reason.LOT_SIZE
    if order.quantity > settings.market_max_lots:
        return Reason.MARKET_LOT_SIZE
    if entering:
        if order.hold_left > AMOUNT_MAX:
            return Reason.OVERFLOW
        return notional_of(market, market.notional(stops.entry_stop(order), order.quantity))
    return notional_of(market, market.notional(market.reference, order.quantity))


def notional_of(market: Market, notional: int) -> Reason:
    settings = market.settings
    if notional > AMOUNT_MAX:
        return Reason.OVERFLOW
    if notional < settings.min_notional_units or 0 < settings.max_notional_units < notional:
        return Reason.NOTIONAL
    return Reason.NONE


def band_of(order: Order) -> Reason:
    """reference x down <= price x 10^4 <= reference x up; a bound of 0 is no bound."""
    if order.is_market or order.waiting == Waiting.CONDITIONAL:
        return Reason.NONE
    s, reference = order.market.settings, order.market.reference
    down, up = (s.bid_down_bp, s.bid_up_bp) if order.side == Side.BUY else (s.ask_down_bp, s.ask_up_bp)
    price = order.price * 10_000
    if price < reference * down or (up and price > reference * up):
        return Reason.PERCENT_PRICE
    return Reason.NONE


def limits_of(order: Order) -> Reason:
    """Other open orders of the account in this market, and those with a display; asked of what can rest."""
    settings, waits = order.market.settings, order.waiting == Waiting.CONDITIONAL
    if order.time_in_force not in (TimeInForce.GTC, TimeInForce.GTD) and not waits:
        return Reason.NONE
    others = [o for o in order.account.orders if o.market is order.market and o is not order]
    if 0 < settings.max_open_orders <= len(others):
        return Reason.MAX_NUM_ORDERS
    if order.display and 0 < settings.max_iceberg_orders <= sum(o.display > 0 for o in others):
        return Reason.MAX_NUM_ICEBERG_ORDERS
    waiting = sum(o.waiting == Waiting.CONDITIONAL for o in others)
    if waits and 0 < settings.max_conditional_orders <= waiting:
        return Reason.MAX_NUM_ALGO_ORDERS
    return Reason.NONE


def funds_of(world: World, order: Order, rehearsal: Rehearsal | None) -> Reason:
    """Enough for what it will hold; a market buy by quantity, which holds nothing, for what would print."""
    if order.shares:
        return Reason.INSUFFICIENT_BALANCE if one_is_short(world, order) else Reason.NONE
    needed = order.need()
    if order.kind == OrderKind.MARKET and order.side == Side.BUY and not order.budget:
        assert rehearsal is not None
        needed = rehearsal.quote
    short = needed > world.available(order.account, order.pays_with)
    return Reason.INSUFFICIENT_BALANCE if short else Reason.NONE


def may_be_block(command: PlaceOrder) -> bool:
    """Limit, or market sell by quantity; never an iceberg."""
    if command.display_lots:
        return False
    if command.order_kind in LIMIT_KINDS:
        return True
    return command.order_kind == OrderKind.MARKET and command.side == Side.SELL and not command.budget_units


def one_is_short(world: World, order: Order) -> bool:
    return any(order.share_need(share) > world.available(share.account, order.pays_with) for share in order.shares)
