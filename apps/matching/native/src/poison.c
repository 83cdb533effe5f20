/* Poison: a market whose commands keep failing takes no more orders (poison.py). */
#include "engine.h"

/* Cancel-only, unless the market does not trade anyway and only staff can change that. */
static void stop_orders(Engine *engine, Market *market) {
    if (HAS_BIT(MAY_TRADE, market->state))
        move_market(engine, market, MARKET_STATE_CANCEL_ONLY, HALT_CAUSE_POISON, 0, SOURCE_DIRECT, 0, 0, 0);
}

/* One more command of the market, 0 for none, was skipped because it failed. */
void count_skip(Engine *engine, u32 market_id) {
    Market *market = find_market(engine, market_id);
    if (market) {
        market->skips++;
        if (market->skips >= SKIPS_MAX) stop_orders(engine, market);
        return;
    }
    engine->skips++;
    if (engine->skips >= SKIPS_MAX) {
        engine->skips = 0;
        for (u32 place = 0; place < engine->market_count; place++) stop_orders(engine, engine->markets[place]);
    }
}
