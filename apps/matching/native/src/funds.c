/* Holding money for orders. What a print moves stands in the sweep. No hold includes a fee.

   Invariant, checked on each move: no balance falls below zero. */
#include "engine.h"

i64 units_for(const Market *market, const Order *order, i64 lots) {
    if (order->side == SIDE_BUY) return (i64)((u64)order->price_ticks * (u64)lots * (u64)market->unit_factor);
    return (i64)((u64)lots * (u64)market->lot_size);
}

/* What an open order holds in all; of a block order see its shares. */
i64 need_units(const Engine *engine, const Order *order) {
    if (order->terms && terms_at(engine, order->terms)->hold_units) return terms_at(engine, order->terms)->hold_units;
    return units_for(market_of(engine, order), order, open_lots(engine, order));
}

/* Hold what an order by quantity needs; false, and nothing changed, where it is not available. */
bool hold_for(Engine *engine, Incoming *incoming) {
    if (!WITH_HOLDS) return true;
    const Order *order = incoming->order;
    const u32 block = block_of(engine, order);
    if (UNLIKELY(block)) return hold_shares(engine, order, block);
    Balance *pays = order->side == SIDE_BUY ? incoming->seat->quote : incoming->seat->base;
    i64 need = units_for(incoming->seat->market, order, order->left_lots);
    if (pays->available_units < need) return false;
    pays->available_units -= need;
    pays->held_units += need;
    return true;
}

/* Give back what an order by quantity that ends still holds. */
void release_for(Engine *engine, Order *order) {
    if (UNLIKELY(order->terms)) {
        Terms *terms = terms_at(engine, order->terms);
        if (terms->block) {
            release_shares(engine, order, terms->block);
            return;
        }
        i64 units;
        if (!terms->list || !shares_hold(engine, order, &units)) units = need_units(engine, order);
        terms->hold_units = 0;
        release(engine, pays_with(engine, order), units);
        return;
    }
    release(engine, pays_with(engine, order), need_units(engine, order));
}

/* Give back what an order, no block order, holds for `lots` of it. A market buy by quantity has no price and holds nothing. */
void release_lots(Engine *engine, const Order *order, i64 lots) {
    release(engine, pays_with(engine, order), units_for(market_of(engine, order), order, lots));
}

void hold(Engine *engine, Balance *balance, i64 units) {
    if (!WITH_HOLDS) return;
    balance->available_units -= units;
    balance->held_units += units;
    if (balance->available_units < 0) fail(engine, NBP_INVARIANT_BROKEN, "a hold took more than was available");
}

void release(Engine *engine, Balance *balance, i64 units) {
    if (!WITH_HOLDS) return;
    balance->held_units -= units;
    balance->available_units += units;
    if (balance->held_units < 0) fail(engine, NBP_INVARIANT_BROKEN, "a release gave more than was held");
}
