/* Market states: which commands pass in which (PASSES, from states.py), and the staff command that changes them (T10). */
#include "engine.h"

/* Why the market's state refuses a new order, or 0. */
u32 entry_fault(Engine *engine, Incoming *incoming) {
    Market *market = incoming->seat->market;
    const Passes *row = &PASSES[market->state];
    if (row->new_order == ENTRY_ALL) return REASON_NONE;
    if (row->new_order == ENTRY_NOT_MATCHING) {
        if (incoming->order->kind == ORDER_KIND_LIMIT_MAKER) return REASON_NONE;
        if (incoming->order->kind == ORDER_KIND_LIMIT && !would_match(engine, market, incoming->order))
            return REASON_NONE;
    }
    if (row->new_order == ENTRY_RESTING && incoming->order->kind == ORDER_KIND_LIMIT &&
        (incoming->order->time_in_force == TIME_IN_FORCE_GTC || incoming->order->time_in_force == TIME_IN_FORCE_GTD))
        return REASON_NONE;
    return row->refusal;
}

/* Why a command may not move the market to that state, or 0. */
u32 move_fault(const Market *market, u32 state, u32 cause) {
    if (!HAS_BIT(STAFF_MAY_SET, state)) return REASON_INVALID_STATE;
    if (WORKERS_STOPS[cause] && (state != WORKERS_STOPS[cause] || !HAS_BIT(MAY_TRADE, market->state)))
        return REASON_INVALID_STATE;
    if (state == MARKET_STATE_AUCTION && !market->settings.call_s) return REASON_INVALID_STATE;
    if (HAS_BIT(UNCROSSED, state) && is_crossed(market)) return REASON_BOOK_CROSSED;
    return REASON_NONE;
}

/* A move that move_fault() lets pass, and what follows from it. */
void move_by_command(Engine *engine, Market *market, u32 state, u32 cause, u64 relay_seq, u32 source) {
    u64 until_ms = 0;
    if (cause == HALT_CAUSE_STAFF) market->skips = 0;
    if (state == MARKET_STATE_AUCTION) {
        market->extensions = 0;
        until_ms = engine->now_ms + (u64)market->settings.call_s * 1000;
    }
    move_market(engine, market, state, cause, relay_seq, source, until_ms, until_ms, 0);
    if (state == MARKET_STATE_CLOSED) {
        u64 count;
        u32 *slots = sorted_orders(engine, NULL, market, &count);
        end_all(engine, slots, count, ORDER_STATUS_CANCELED, REASON_CANCELED_BY_STAFF);
        memory_give(engine, slots, (count + 1) * sizeof *slots);
    }
    run_triggered(engine, market);
}

/* Move a market. Closing it also cancels its orders, by ascending order_id, after the state event; opening it lets the
   triggered orders take their turns.

   Cause STAFF: somebody has looked, so the market's skipped commands count from nothing again. Causes CLOCK and INVARIANT
   are the worker's, which does not know the newest state of a market: it only stops what may trade. */
u32 set_market_state(Engine *engine, const u8 *bytes) {
    const SetMarketStateFrame *frame = (const void *)bytes;
    const u32 state = frame->state, cause = frame->cause;
    if (frame->parts != 1 || !HAS_BIT(KNOWN_MARKET_STATES, state) || !HAS_BIT(CAUSES_OF_COMMANDS, cause))
        return REASON_MALFORMED;
    Market *market = find_market(engine, frame->market_id);
    if (!market) return REASON_UNKNOWN_MARKET;
    const u32 reason = move_fault(market, state, cause);
    if (!reason) move_by_command(engine, market, state, cause, frame->relay_seq, frame->source);
    return reason;
}
