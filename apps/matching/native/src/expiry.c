/* GTD: an order is good till its expires_ms. From that millisecond on it never trades (matching-rules 2).

   Its timer ends it before the first command of that time. Where more timers are due than run before one command, a taker
   may meet it first: then it ends there, and the taker goes on with the next one. */
#include "engine.h"

/* A new order must end after now. */
u32 expiry_fault(const Engine *engine, const Incoming *incoming) {
    return incoming->expires_ms > 0 && incoming->expires_ms <= (i64)engine->now_ms ? REASON_EXPIRY_PASSED : REASON_NONE;
}

void expire_order(Engine *engine, u32 slot) {
    end_resting(engine, slot, ORDER_STATUS_EXPIRED, REASON_EXPIRED_BY_TIME, NULL);
}

/* What an order has beyond side, price and quantity; made on first use (terms.py). */
Terms *terms_of(Engine *engine, Order *order) {
    if (!order->terms) {
        u32 slot = pool_take(engine, &engine->terms);
        order->terms = slot;
    }
    return terms_at(engine, order->terms);
}
