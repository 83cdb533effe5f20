/* The phases of a halt, one after another by their timers: HALTED, AUCTION, OPEN (T9, matching-rules 6 and 7).

   The call phase is the last part of the halt, as long as was planned when the halt began; a market without one opens when
   the halt ends. At the end of the call phase the market opens at the auction's price. Outside the collar the call phase
   goes on for call_s, at most max_extensions times; then the market is halted until staff acts.

   A timer that fires more than LATE_MS after its time opens nothing: nobody was served meanwhile, or the clock jumped. A
   call phase then has its whole length again, and a halt without one goes on for LATE_MS. */
#include "engine.h"

/* To a state that leads to OPEN when its time is over. */
static void move_until(Engine *engine, Market *market, u32 new_state, u32 cause, u64 until_ms) {
    move_market(engine, market, new_state, cause, 0, SOURCE_DIRECT, until_ms, until_ms, market->rule_id);
}

/* To OPEN by a timer; what was triggered takes its turns. */
static void open_market(Engine *engine, Market *market) {
    move_market(engine, market, MARKET_STATE_OPEN, HALT_CAUSE_NONE, 0, SOURCE_DIRECT, 0, 0, 0);
    run_triggered(engine, market);
}

static void extend_call(Engine *engine, Market *market, u64 from_ms) {
    u64 length_ms = (u64)market->settings.call_s * 1000;
    if (length_ms < LATE_MS) length_ms = LATE_MS;
    move_until(engine, market, MARKET_STATE_AUCTION, HALT_CAUSE_AUCTION_EXTENDED, from_ms + length_ms);
}

static void end_call(Engine *engine, Market *market) {
    expire_overdue(engine, market);
    const AuctionPrice found = tell_price(engine, market);
    if (!found.lots) {
        open_market(engine, market);
    } else if (!is_outside_collar(market, found.price_ticks)) {
        pair_orders(engine, market, found);
        move_market(engine, market, MARKET_STATE_OPEN, HALT_CAUSE_NONE, 0, SOURCE_DIRECT, 0, 0, 0);
        evaluate(engine, market, found.price_ticks);
        run_triggered(engine, market);
    } else if (market->extensions < market->settings.max_extensions) {
        market->extensions++;
        extend_call(engine, market, market->until_ms);
    } else {
        move_market(engine, market, MARKET_STATE_HALTED, HALT_CAUSE_NO_AUCTION_PRICE, 0, SOURCE_DIRECT, 0, 0, 0);
    }
}

/* The time of the market's state is over. */
void end_phase(Engine *engine, Market *market) {
    const u64 now_ms = engine->now_ms;
    const bool is_late = now_ms - market->until_ms > LATE_MS;
    if (market->state == MARKET_STATE_AUCTION) {
        if (is_late)
            extend_call(engine, market, now_ms);
        else
            end_call(engine, market);
        return;
    }
    const u64 call_ms = market->reopens_ms - market->until_ms;
    if (call_ms)
        move_until(engine, market, MARKET_STATE_AUCTION, market->cause, is_late ? now_ms + call_ms : market->reopens_ms);
    else if (is_late)
        move_until(engine, market, MARKET_STATE_HALTED, market->cause, now_ms + LATE_MS);
    else
        open_market(engine, market);
}
