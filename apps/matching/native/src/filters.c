/* The market's filters: price, lots, notional and the number of open orders; the price band (T7, matching-rules 1, 2).

   Units: ticks, lots, quote units. Each function returns why the order is refused, or 0. */
#include "engine.h"

static u32 notional_fault(const MarketSettings *settings, i128 notional_units) {
    if (notional_units > AMOUNT_MAX) return REASON_OVERFLOW;
    if (notional_units < settings->min_notional_units) return REASON_NOTIONAL;
    if (settings->max_notional_units && notional_units > settings->max_notional_units) return REASON_NOTIONAL;
    return REASON_NONE;
}

/* price x lots x unit_factor, all of them below 2^62 and above 0; anything above AMOUNT_MAX where it is more. */
static i128 notional(i64 price_ticks, i64 lots, i64 unit_factor) {
    i128 per_tick = (i128)lots * unit_factor;
    return per_tick > AMOUNT_MAX ? per_tick : per_tick * price_ticks;
}

u32 limit_fault(const Incoming *incoming) {
    const Market *market = incoming->seat->market;
    const MarketSettings *settings = &market->settings;
    const Order *order = incoming->order;
    if (order->price_ticks < settings->min_price_ticks || order->price_ticks > settings->max_price_ticks)
        return REASON_PRICE_FILTER;
    if (order->quantity_lots < settings->min_lots || order->quantity_lots > settings->max_lots) return REASON_LOT_SIZE;
    return notional_fault(settings, notional(order->price_ticks, order->quantity_lots, market->unit_factor));
}

u32 market_quantity_fault(const Incoming *incoming) {
    return market_lots_fault(incoming, reference_price(incoming->seat->market));
}

/* Lots, lots of a market order, notional at this price. */
u32 market_lots_fault(const Incoming *incoming, i64 price_ticks) {
    const Market *market = incoming->seat->market;
    const MarketSettings *settings = &market->settings;
    i64 lots = incoming->order->quantity_lots;
    if (lots < settings->min_lots || lots > settings->max_lots) return REASON_LOT_SIZE;
    if (lots > settings->market_max_lots) return REASON_MARKET_LOT_SIZE;
    return notional_fault(settings, notional(price_ticks, lots, market->unit_factor));
}

/* The budget as notional, then whether it buys a lot at all: nothing to buy is no fault of the order. */
u32 market_budget_fault(const Incoming *incoming) {
    Market *market = incoming->seat->market;
    u32 reason = notional_fault(&market->settings, incoming->budget_units);
    if (reason) return reason;
    i64 best_ticks = best_price(opposite(market, incoming->order->side));
    return (i128)best_ticks * market->unit_factor > incoming->budget_units ? REASON_LOT_SIZE : REASON_NONE;
}

/* The order was amended as often as an order of this market may be. */
u32 amends_fault(const Engine *engine, const Order *order) {
    const i64 limit = market_of(engine, order)->settings.max_order_amends;
    if (limit && order->terms && terms_at(engine, order->terms)->amends >= limit) return REASON_MAX_NUM_ORDER_AMENDS;
    return REASON_NONE;
}

/* The minimums of lots and notional, for a limit order that becomes smaller. */
u32 smaller_fault(const Engine *engine, const Order *order, i64 quantity_lots) {
    const Market *market = market_of(engine, order);
    if (quantity_lots < market->settings.min_lots) return REASON_LOT_SIZE;
    if (notional(order->price_ticks, quantity_lots, market->unit_factor) < market->settings.min_notional_units)
        return REASON_NOTIONAL;
    return REASON_NONE;
}

/* The account has as many open orders, or icebergs, in this market as it may. Asked of orders that can rest. Open orders
   that stand in no book count like the others. */
u32 account_limits_fault(const Incoming *incoming) {
    const Seat *seat = incoming->seat;
    const MarketSettings *settings = &seat->market->settings;
    if (settings->max_open_orders && seat->open_orders >= settings->max_open_orders) return REASON_MAX_NUM_ORDERS;
    if (incoming->display_lots && settings->max_iceberg_orders && seat->iceberg_orders >= settings->max_iceberg_orders)
        return REASON_MAX_NUM_ICEBERG_ORDERS;
    return REASON_NONE;
}

/* Within when reference x down_bp <= price x 10^4 <= reference x up_bp; 0 disables a bound. */
u32 band_fault(const Incoming *incoming) {
    const Market *market = incoming->seat->market;
    const MarketSettings *settings = &market->settings;
    bool buying = incoming->order->side == SIDE_BUY;
    i64 down_bp = buying ? settings->bid_down_bp : settings->ask_down_bp;
    i64 up_bp = buying ? settings->bid_up_bp : settings->ask_up_bp;
    i128 reference = reference_price(market);
    i128 scaled = (i128)incoming->order->price_ticks * BASIS_POINTS;
    if (scaled < reference * down_bp || (up_bp && scaled > reference * up_bp)) return REASON_PERCENT_PRICE;
    return REASON_NONE;
}
