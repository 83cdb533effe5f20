/* Parking: a limit order outside the price band waits for review instead of being refused (T7, matching-rules 2).

   Where the market says so, and only LIMIT orders that are GTC or GTD, placed by themselves. Every other check has passed by
   then. A parked order has its order_id, owns its client id and holds its funds; it stands in no book, can be cancelled in
   every market state, and ends when nobody has reviewed it in time, or at its own end if that comes first.

   One timer does both: due at the earlier time, with the seq of ORDER_PARKED. */
#include "engine.h"

/* Asked of an order whose only fault is its price's distance from the reference. */
bool may_park(const Incoming *incoming) {
    const Order *order = incoming->order;
    return incoming->seat->market->settings.park_outside_band && order->kind == ORDER_KIND_LIMIT &&
           (order->time_in_force == TIME_IN_FORCE_GTC || order->time_in_force == TIME_IN_FORCE_GTD);
}

/* The order has its id, its terms and its hold. */
void park_order(Engine *engine, Incoming *incoming, u32 slot) {
    const Market *market = incoming->seat->market;
    Order *order = incoming->order = order_at(engine, slot);
    Terms *terms = terms_at(engine, order->terms);
    event_accepted(engine, incoming, 0);
    terms->accepted_seq = engine->seq;
    u64 due_ms = engine->now_ms + (u64)market->settings.park_expiry_s * 1000;
    if (terms->expires_ms && (u64)terms->expires_ms < due_ms) due_ms = (u64)terms->expires_ms;
    tell_held(engine, order);
    event_parked(engine, order, reference_price(market), due_ms);
    wait_order(engine, slot, incoming->id_hash);
    terms->park_due_ms = due_ms;
    terms->parked_seq = engine->seq;
    start_terms(engine, slot);
}

/* The timer of a parked order: its own end has come, or nobody reviewed it in time. */
void end_review(Engine *engine, u32 slot) {
    const Terms *terms = terms_at(engine, order_at(engine, slot)->terms);
    const bool own_end = (u64)terms->expires_ms == terms->park_due_ms;
    end_resting(engine, slot, ORDER_STATUS_EXPIRED, own_end ? REASON_EXPIRED_BY_TIME : REASON_PARK_EXPIRED, NULL);
}
