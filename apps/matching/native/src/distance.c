/* Distance to halt: how far the next print may go, told at a TICK (T9, matching-rules 6).

   At most once a second for each market that is open, and only if it differs from what was told last. */
#include "engine.h"

static bool is_same(const Distance *one, const Distance *other) {
    return one->up_ticks == other->up_ticks && one->down_ticks == other->down_ticks &&
           one->up_rule_id == other->up_rule_id && one->down_rule_id == other->down_rule_id;
}

/* Time passes: what was due has run before this. */
void tick(Engine *engine) {
    for (u32 place = 0; place < engine->market_count; place++) {
        Market *market = engine->markets[place];
        Breaker *breaker = &market->breaker;
        if (!breaker->count || market->state != MARKET_STATE_OPEN) continue;
        if (engine->now_ms < breaker->told_ms + TOLD_EVERY_MS) continue;
        const Distance found = distance_to_halt(engine, market);
        if (is_same(&found, &breaker->told)) continue;
        breaker->told = found;
        breaker->told_ms = engine->now_ms;
        event_halt_distance(engine, market->market_id, &found);
    }
}
