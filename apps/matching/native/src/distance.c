/* Distance to halt: how far the next print may go, told at a TICK (T9, matching-rules 6).

   At most once a second for each market that is open, and only if it differs from what was told last. A market that has no
   breakers any more has no distance. */
#include "engine.h"

static const Distance NO_DISTANCE = {0, 0, 0, 0};

static bool is_same(const Distance *one, const Distance *other) {
    return one->up_ticks == other->up_ticks && one->down_ticks == other->down_ticks &&
           one->up_rule_id == other->up_rule_id && one->down_rule_id == other->down_rule_id;
}

/* Time passes: what was due has run before this. */
void tick(Engine *engine) {
    for (u32 place = 0; place < engine->market_count; place++) {
        Market *market = engine->markets[place];
        if (!market->breaker.count && is_same(&market->told, &NO_DISTANCE)) continue;
        if (market->state != MARKET_STATE_OPEN || engine->now_ms < market->told_ms + TOLD_EVERY_MS) continue;
        const Distance found = distance_to_halt(engine, market);
        if (is_same(&found, &market->told)) continue;
        market->told = found;
        market->told_ms = engine->now_ms;
        event_halt_distance(engine, market->market_id, &found);
    }
}
