/* LIMIT orders: trade up to their price, then rest (GTC, GTD) or expire (IOC, FOK) (T1, T2, T4).

   LIMIT_MAKER, post-only, rests or is refused where it would match an order that has not expired, its own family's too.

   IOC expires what does not print at once. FOK prints whole or expires: a read-only run of the sweep tells, and where it is
   short nothing else happens. */
#include "engine.h"

static bool is_immediate(const Order *order) {
    return order->time_in_force == TIME_IN_FORCE_IOC || order->time_in_force == TIME_IN_FORCE_FOK;
}

/* A price, a quantity, and what its time in force takes: an end for GTD only, a display only where it can rest. */
bool limit_has_form(const Incoming *incoming) {
    const Order *order = incoming->order;
    if (order->price_ticks <= 0 || order->quantity_lots <= 0 || incoming->budget_units) return false;
    if (order->time_in_force < TIME_IN_FORCE_GTC || order->time_in_force > TIME_IN_FORCE_GTD) return false;
    bool till_date = order->time_in_force == TIME_IN_FORCE_GTD;
    if (!has_terms(incoming)) return !till_date;
    return incoming->display_lots >= 0 && incoming->display_lots <= order->quantity_lots && incoming->expires_ms >= 0 &&
           (incoming->expires_ms > 0) == till_date && !is_immediate(order);
}

bool limit_is_well_formed(const Incoming *incoming) {
    return !incoming->stop_price_ticks && !incoming->trailing_bips && limit_has_form(incoming);
}

/* LIMIT_MAKER is there to rest. */
bool maker_is_well_formed(const Incoming *incoming) {
    return !is_immediate(incoming->order) && limit_is_well_formed(incoming);
}

/* Filters and band. */
u32 limit_order_fault(Engine *engine, Incoming *incoming) {
    u32 reason = limit_fault(incoming);
    if (!reason && has_terms(incoming)) {
        reason = iceberg_fault(incoming);
        if (!reason) reason = expiry_fault(engine, incoming);
    }
    return reason ? reason : band_fault(incoming);
}

/* It never came to rest; what it still holds is released. */
static void end_limit(Engine *engine, Incoming *incoming, u32 status, u32 reason) {
    const Order *order = incoming->order;
    release_for(engine, incoming->order);
    leave_at_entry(engine, incoming);
    event_closed(engine, order, status, reason, filled_lots(engine, order), NULL, 0, 0);
    leave_list(engine, list_of(engine, order), order->order_id, status, reason);
}

/* From the account's limits on, LIMIT_MAKER too; why it is refused, or 0 when it is in. */
u32 place_limit(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    Market *market = incoming->seat->market;
    const bool immediate = is_immediate(order);
    if (!immediate) {
        u32 reason = account_limits_fault(incoming);
        if (reason) return reason;
    }
    if (!hold_for(engine, incoming)) return REASON_INSUFFICIENT_BALANCE;
    if (order->kind == ORDER_KIND_LIMIT_MAKER && would_match(engine, market, order)) {
        release_for(engine, order);
        return REASON_WOULD_MATCH;
    }

    order->order_id = take_order_id(engine);
    if (has_terms(incoming) || incoming->waiting) take_terms(terms_of(engine, order), incoming);
    if (UNLIKELY(incoming->waiting)) {
        park_order(engine, incoming, new_order(engine, order));
        return REASON_NONE;
    }
    if (!immediate && !meets_book(market, order)) {
        hide_reserve(engine, order);
        u32 slot = new_order(engine, order);
        order = incoming->order = order_at(engine, slot);
        event_accepted(engine, incoming, rest_order(engine, slot, incoming->id_hash));
        order->priority = engine->seq;
        if (order->terms) {
            terms_at(engine, order->terms)->accepted_seq = engine->seq;
            start_terms(engine, slot);
            tell_held(engine, order);
        }
        return REASON_NONE;
    }
    event_accepted(engine, incoming, 0);
    if (order->terms) {
        terms_at(engine, order->terms)->accepted_seq = engine->seq;
        tell_held(engine, order);
    }
    match_and_rest(engine, incoming);
    return REASON_NONE;
}

static void rest_incoming(Engine *engine, Incoming *incoming) {
    hide_reserve(engine, incoming->order);
    const u32 slot = incoming->slot ? incoming->slot : new_order(engine, incoming->order);
    Order *order = order_at(engine, slot);
    i64 level_lots;
    if (order->terms && terms_at(engine, order->terms)->queued_seq) { /* open before, with its timer and counts */
        terms_at(engine, order->terms)->queued_seq = 0;
        level_lots = book_add(engine, side_of(incoming->seat->market, order->side), slot);
    } else {
        start_terms(engine, slot);
        level_lots = rest_order(engine, slot, incoming->id_hash);
    }
    event_rested(engine, order, level_lots);
    order->priority = engine->seq;
}

/* A call phase: the order rests, crossing or not, unless it meets its own family. */
static void join_call(Engine *engine, Incoming *incoming) {
    const u32 met = meets_family(engine, incoming);
    if (!met) {
        rest_incoming(engine, incoming);
        return;
    }
    const Order *order = incoming->order, *other = order_at(engine, met);
    const i64 open = open_lots(engine, other);
    incoming->seat->market->last_prevented_id++;
    event_prevented(engine, incoming, other, order->left_lots < open ? order->left_lots : open, STP_MODE_EXPIRE_TAKER, NULL);
    end_limit(engine, incoming, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE);
    drop_incoming(engine, incoming);
}

/* What an accepted order does in its market: it trades up to its price; the rest of it rests or expires. */
void match_and_rest(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    if (UNLIKELY(incoming->seat->market->state == MARKET_STATE_AUCTION)) {
        join_call(engine, incoming);
        return;
    }
    u32 stopped_by;
    if (order->time_in_force == TIME_IN_FORCE_FOK &&
        would_print(engine, incoming, order->price_ticks, 0).lots < order->quantity_lots)
        stopped_by = REASON_NO_LIQUIDITY;
    else
        stopped_by = sweep(engine, incoming, order->price_ticks, NULL);
    if (stopped_by == REASON_SELF_TRADE) {
        end_limit(engine, incoming, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE);
    } else if (!order->left_lots) {
        leave_at_entry(engine, incoming);
        leave_list(engine, list_of(engine, order), order->order_id, ORDER_STATUS_FILLED, REASON_NONE);
    } else if (stopped_by == REASON_BREAKER) {
        Market *market = incoming->seat->market;
        end_limit(engine, incoming, ORDER_STATUS_EXPIRED, REASON_BREAKER);
        drop_incoming(engine, incoming);
        trip_breaker(engine, market);
        return;
    } else if (is_immediate(order)) {
        end_limit(engine, incoming, ORDER_STATUS_EXPIRED, REASON_NO_LIQUIDITY);
    } else {
        rest_incoming(engine, incoming);
        if (UNLIKELY(is_crossed(incoming->seat->market)))
            fail(engine, NBP_INVARIANT_BROKEN, "an order rests although it would match");
        return;
    }
    drop_incoming(engine, incoming);
}
