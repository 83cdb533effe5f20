/* MARKET orders, by base quantity or by quote budget. They never rest (T3, matching-rules 2). */
#include "engine.h"

/* Exactly one of quantity and budget. */
bool market_is_well_formed(const Incoming *incoming) {
    const Order *order = incoming->order;
    return order->price_ticks == 0 && order->quantity_lots >= 0 && incoming->budget_units >= 0 &&
           (order->quantity_lots > 0) != (incoming->budget_units > 0) && order->time_in_force == TIME_IN_FORCE_NONE &&
           !has_terms(incoming) && !incoming->stop_price_ticks && !incoming->trailing_bips;
}

u32 market_order_fault(Engine *engine, Incoming *incoming) {
    (void)engine;
    return incoming->budget_units ? market_budget_fault(incoming) : market_quantity_fault(incoming);
}

static void accept_market(Engine *engine, Incoming *incoming) {
    incoming->order->order_id = take_order_id(engine);
    event_accepted(engine, incoming, 0);
    tell_held(engine, incoming->order);
}

static void close_market(Engine *engine, Incoming *incoming, u32 status, u32 reason, i64 filled) {
    const Order *order = incoming->order;
    event_closed(engine, order, status, reason, filled, NULL, 0, 0);
    leave_list(engine, list_of(engine, order), order->order_id, status, reason);
}

/* The rest expires: the book ended first, or self-trade prevention or a circuit breaker stopped it. */
static void expire_market(Engine *engine, Incoming *incoming, u32 stopped_by, i64 filled) {
    if (stopped_by == REASON_SELF_TRADE) {
        close_market(engine, incoming, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE, filled);
    } else if (stopped_by == REASON_BREAKER) {
        close_market(engine, incoming, ORDER_STATUS_EXPIRED, REASON_BREAKER, filled);
        trip_breaker(engine, incoming->seat->market);
    } else {
        close_market(engine, incoming, ORDER_STATUS_EXPIRED, REASON_NO_LIQUIDITY, filled);
    }
}

/* A buy must afford what would print and holds nothing; a sell must have, and holds, its whole quantity. */
static u32 place_by_quantity(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    if (order->side == SIDE_BUY) {
        if (incoming->seat->quote->available_units < would_print(engine, incoming, NO_LIMIT(SIDE_BUY), 0).quote_units)
            return REASON_INSUFFICIENT_BALANCE;
    } else if (!hold_for(engine, incoming)) {
        return REASON_INSUFFICIENT_BALANCE;
    }
    accept_market(engine, incoming);
    u32 stopped_by = sweep(engine, incoming, NO_LIMIT(order->side), NULL);
    remember_incoming(engine, incoming);
    if (order->left_lots || stopped_by == REASON_SELF_TRADE) {
        if (order->side != SIDE_BUY) release_for(engine, order);
        expire_market(engine, incoming, stopped_by, filled_lots(engine, order));
    }
    return REASON_NONE;
}

/* A triggered one, which has its hold: a sell its quantity, a buy a sum that each print must stay within. It ends EXPIRED
   where the book ends first, or where what is left of the sum buys no lot. */
void enter_market(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    Terms *terms = terms_at(engine, order->terms);
    const bool buying = order->side == SIDE_BUY;
    Budget budget = {.incoming = incoming, .units = terms->hold_units, .capped = true, .spent_before_prevention = -1};
    const u32 stopped_by = sweep(engine, incoming, NO_LIMIT(order->side), buying ? &budget : NULL);
    terms->hold_units = 0;
    forget_order(engine, incoming->slot);
    if (order->left_lots || stopped_by == REASON_SELF_TRADE) {
        const i64 lot_size = incoming->seat->market->lot_size;
        release(engine, pays_with(engine, order), buying ? budget_rest(&budget) : order->left_lots * lot_size);
        if (stopped_by == REASON_BUDGET_SPENT)
            close_market(engine, incoming, ORDER_STATUS_EXPIRED, REASON_HOLD_SPENT, filled_lots(engine, order));
        else
            expire_market(engine, incoming, stopped_by, filled_lots(engine, order));
    } else {
        leave_list(engine, list_of(engine, order), order->order_id, ORDER_STATUS_FILLED, REASON_NONE);
    }
    drop_incoming(engine, incoming);
}

/* A pending one of a list: a sell holds its quantity since just now, a buy nothing, as when it is placed. */
void enter_unheld(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    const u32 stopped_by = sweep(engine, incoming, NO_LIMIT(order->side), NULL);
    forget_order(engine, incoming->slot);
    if (order->left_lots || stopped_by == REASON_SELF_TRADE) {
        if (order->side != SIDE_BUY) release_for(engine, order);
        expire_market(engine, incoming, stopped_by, filled_lots(engine, order));
    } else {
        leave_list(engine, list_of(engine, order), order->order_id, ORDER_STATUS_FILLED, REASON_NONE);
    }
    drop_incoming(engine, incoming);
}

/* A buy holds its budget, a sell the lots whose proceeds stay within it. What is left over is released. */
static u32 place_by_budget(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    const i64 lot_size = incoming->seat->market->lot_size;
    Balance *pays = order->side == SIDE_BUY ? incoming->seat->quote : incoming->seat->base;
    i128 need = incoming->budget_units;
    if (order->side != SIDE_BUY)
        need = would_print(engine, incoming, NO_LIMIT(SIDE_SELL), incoming->budget_units).lots * lot_size;
    if (pays->available_units < need) return REASON_INSUFFICIENT_BALANCE;
    hold(engine, pays, (i64)need);

    accept_market(engine, incoming);
    Budget budget = {.incoming = incoming, .units = incoming->budget_units, .spent_before_prevention = -1};
    u32 stopped_by = sweep(engine, incoming, NO_LIMIT(order->side), &budget);
    remember_incoming(engine, incoming);
    i64 rest_units = budget_rest(&budget);
    release(engine, pays, order->side == SIDE_BUY ? rest_units : (i64)need - incoming->filled_lots * lot_size);
    if (stopped_by != REASON_SELF_TRADE && (stopped_by == REASON_BUDGET_SPENT || !rest_units)) {
        /* the last thing that reduced it was a prevented match and no print */
        if (budget.spent_before_prevention == order->filled_quote_units)
            close_market(engine, incoming, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE, incoming->filled_lots);
        else
            close_market(engine, incoming, ORDER_STATUS_FILLED, REASON_BUDGET_SPENT, incoming->filled_lots);
    } else {
        expire_market(engine, incoming, stopped_by, incoming->filled_lots);
    }
    return REASON_NONE;
}

/* From the funds on; why it is refused, or 0 when it was accepted and has ended. */
u32 place_market(Engine *engine, Incoming *incoming) {
    u32 reason = incoming->budget_units ? place_by_budget(engine, incoming) : place_by_quantity(engine, incoming);
    if (!reason) drop_incoming(engine, incoming); /* a prevented match may have brought terms */
    return reason;
}
