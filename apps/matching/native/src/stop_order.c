/* STOP_LOSS, TAKE_PROFIT and their limit forms, until they trigger (T3, T4, matching-rules 5).

   Such an order is checked, holds its funds and waits in no book. A limit form holds what its limit order would, a sell its
   quantity, a market buy its notional at the stop price and the market's buffer. It is an open order in every other way. */
#include "engine.h"

static bool has_trigger(const Incoming *incoming) {
    return incoming->stop_price_ticks >= 0 && (incoming->stop_price_ticks > 0 || incoming->trailing_bips > 0);
}

/* A limit order with a stop price, a trailing distance, or both. */
bool stop_limit_is_well_formed(const Incoming *incoming) {
    return has_trigger(incoming) && limit_has_form(incoming);
}

/* A quantity, no price, no budget, and a stop price, a trailing distance, or both. */
bool stop_market_is_well_formed(const Incoming *incoming) {
    const Order *order = incoming->order;
    return has_trigger(incoming) && order->price_ticks == 0 && order->quantity_lots > 0 && !incoming->budget_units &&
           order->time_in_force == TIME_IN_FORCE_NONE && !has_terms(incoming);
}

static u32 trigger_fault(const Incoming *incoming) {
    const MarketSettings *settings = &incoming->seat->market->settings;
    if (incoming->stop_price_ticks && (incoming->stop_price_ticks < settings->min_price_ticks ||
                                       incoming->stop_price_ticks > settings->max_price_ticks))
        return REASON_PRICE_FILTER;
    if (incoming->trailing_bips &&
        (incoming->trailing_bips < TRAILING_BIPS_MIN || incoming->trailing_bips > TRAILING_BIPS_MAX))
        return REASON_TRAILING_DELTA;
    return REASON_NONE;
}

/* Filters; the price band is asked when the order triggers. */
u32 stop_limit_fault(Engine *engine, Incoming *incoming) {
    u32 reason = trigger_fault(incoming);
    if (!reason) reason = limit_fault(incoming);
    if (!reason) reason = iceberg_fault(incoming);
    return reason ? reason : expiry_fault(engine, incoming);
}

/* The stop price as of now: that of a trailing order as if its best price were its activation price, or the last price
   where it is active at once. */
static i64 first_stop(const Incoming *incoming) {
    if (!incoming->trailing_bips) return incoming->stop_price_ticks;
    const u32 side = incoming->order->side;
    const i64 last_ticks = reference_price(incoming->seat->market);
    const i64 best_ticks =
        is_met(incoming->order, incoming->stop_price_ticks, last_ticks) ? last_ticks : incoming->stop_price_ticks;
    const i64 key = stop_key(side, best_ticks, incoming->trailing_bips);
    return side == SIDE_BUY ? -key : key;
}

/* What a conditional market buy holds, of a notional that is an amount. */
i128 buffered_units(const Incoming *incoming) {
    const Market *market = incoming->seat->market;
    const i128 notional_units = (i128)first_stop(incoming) * incoming->order->quantity_lots * market->unit_factor;
    const i128 scaled = notional_units * (BASIS_POINTS + market->settings.conditional_buffer_bp);
    return (scaled + BASIS_POINTS - 1) / BASIS_POINTS;
}

/* Filters, with the notional at the stop price, and whether what a buy holds fits into an amount. */
u32 stop_market_fault(Engine *engine, Incoming *incoming) {
    (void)engine;
    u32 reason = trigger_fault(incoming);
    if (!reason) reason = market_lots_fault(incoming, first_stop(incoming));
    if (!reason && incoming->order->side == SIDE_BUY && buffered_units(incoming) > AMOUNT_MAX) return REASON_OVERFLOW;
    return reason;
}

/* The account may not have `count` more orders that wait for a trigger in this market. */
u32 conditional_orders_fault(const Seat *seat, u32 count) {
    const i64 limit = seat->market->settings.max_conditional_orders;
    return limit && count && (i64)seat->conditional_orders + count > limit ? REASON_MAX_NUM_ALGO_ORDERS : REASON_NONE;
}

/* From the account's limits on; why it is refused, or 0 when it waits. */
u32 place_conditional(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    Seat *seat = incoming->seat;
    u32 reason = account_limits_fault(incoming);
    if (!reason) reason = conditional_orders_fault(incoming->seat, 1);
    if (reason) return reason;
    const bool buys_at_market = order->side == SIDE_BUY && !order->price_ticks;
    const i64 need =
        buys_at_market ? (i64)buffered_units(incoming) : units_for(seat->market, order, order->quantity_lots);
    Balance *pays = order->side == SIDE_BUY ? seat->quote : seat->base;
    if (pays->available_units < need) return REASON_INSUFFICIENT_BALANCE;
    const i64 last_ticks = reference_price(seat->market);
    const bool met = is_met(order, incoming->stop_price_ticks, last_ticks);
    if (met && !incoming->trailing_bips) return REASON_WOULD_TRIGGER;

    hold(engine, pays, need);
    order->order_id = take_order_id(engine);
    Terms *terms = terms_of(engine, order);
    take_terms(terms, incoming);
    terms->hold_units = buys_at_market ? need : 0;
    const u32 slot = new_order(engine, order);
    incoming->order = order_at(engine, slot);
    event_waits(engine, incoming, ACCEPTED_FLAG_WAITING);
    terms->accepted_seq = engine->seq;
    wait_order(engine, slot, incoming->id_hash);
    await_trigger(engine, slot, met ? last_ticks : 0);
    start_terms(engine, slot);
    return REASON_NONE;
}
