/* A circuit breaker halts its market (T9, matching-rules 6); a timer ends the halt (phases.c).

   The halt lasts min(300, rule.halt_s + 60 (n - 1)) s; n counts the breaker halts of this market that began within the last
   60 minutes, this one included. */
#include "engine.h"

/* A market moves to another state: one event, and the timer that will end the new state where it ends by itself (moving.py).
   Only here. `until_ms` is when a timer ends it, 0 for never; the others as in MARKET_STATE_CHANGED. */
void move_market(Engine *engine, Market *market, u32 new_state, u32 cause, u64 relay_seq, u32 source, u64 until_ms,
                 u64 reopens_ms, u32 rule_id) {
    if (market->timer_seq) {
        market->timer_seq = 0;
        stop_timer(engine, TIMER_MARKET, market->slot);
    }
    const u32 old_state = market->state;
    market->state = new_state;
    market->cause = cause;
    market->until_ms = until_ms;
    market->reopens_ms = reopens_ms;
    market->rule_id = rule_id;
    if (new_state == MARKET_STATE_AUCTION) {
        if (old_state != MARKET_STATE_AUCTION) engine->auctions++;
    } else if (old_state == MARKET_STATE_AUCTION) {
        engine->auctions--;
        market->extensions = 0;
        market->auction = (AuctionPrice){0, 0};
    }
    event_market_state_changed(engine, market, relay_seq, source, old_state);
    if (until_ms) {
        market->timer_seq = engine->seq;
        add_timer(engine, (i64)until_ms, market->timer_seq, TIMER_MARKET, market->slot);
    }
    if (new_state == MARKET_STATE_OPEN && old_state != MARKET_STATE_OPEN) restart_breaker(engine, market);
}

static bool is_recent(const Engine *engine, u64 begun_ms) { return (i64)begun_ms > (i64)engine->now_ms - HOUR_MS; }

/* When its breaker halts of the last 60 minutes began, oldest first; how many there are of them. */
u32 recent_halts(const Engine *engine, const Market *market, const u64 **begun_ms) {
    const u64 *all = (const u64 *)(const void *)market->halts.data;
    u32 count = (u32)(market->halts.size / sizeof *all), first = 0;
    while (first < count && !is_recent(engine, all[first])) first++;
    *begun_ms = all + first;
    return count - first;
}

void add_halt(Engine *engine, Market *market, u64 begun_ms) {
    memcpy(buffer_add(engine, &market->halts, sizeof begun_ms), &begun_ms, sizeof begun_ms);
}

/* A print was forbidden and its taker has ended: halt, unless too little was left of it. */
void trip_breaker(Engine *engine, Market *market) {
    Breaker *breaker = &market->breaker;
    if (!breaker->tripped) fail(engine, NBP_INVARIANT_BROKEN, "no breaker has tripped");
    const u32 rule_id = breaker->tripped, halt_s = breaker->tripped_halt_s;
    const u64 *recent;
    breaker->tripped = 0;
    if (breaker->rest_units < market->settings.breaker_min_notional_units) return;
    const u32 count = recent_halts(engine, market, &recent);
    if (count) memmove(market->halts.data, recent, count * sizeof *recent);
    market->halts.size = count * sizeof *recent;
    add_halt(engine, market, engine->now_ms);
    u64 length_s = halt_s + (u64)HALT_LONGER_S * count;
    if (length_s > HALT_S_MAX) length_s = HALT_S_MAX;
    const u64 reopens_ms = engine->now_ms + length_s * 1000, call_ms = (u64)market->settings.call_s * 1000;
    move_market(engine, market, MARKET_STATE_HALTED, HALT_CAUSE_BREAKER, 0, SOURCE_DIRECT, reopens_ms - call_ms, reopens_ms,
                rule_id);
}
