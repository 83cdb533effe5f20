/* Self-trade prevention over an account's whole family; never off (T8, matching-rules 4). The taker's mode decides.

   EXPIRE_TAKER: the taker's rest expires, what it filled before stands. EXPIRE_MAKER: the maker expires, the sweep goes
   on. EXPIRE_BOTH: both. DECREMENT: both lose min(taker's rest, maker's tip) as if filled, without a print and without
   money; whichever has nothing left ends EXPIRED_IN_MATCH. */
#include "engine.h"

static void decrement(Engine *engine, Incoming *incoming, u32 maker_slot, i64 lots, Budget *budget) {
    Order *taker = incoming->order, *maker = order_at(engine, maker_slot);
    Market *market = incoming->seat->market;
    const u32 takers_block = block_of(engine, taker), makers_block = block_of(engine, maker);
    Payments takers_portions = {.count = 0}, makers_portions = {.count = 0};
    if (budget) {
        i64 units = maker->price_ticks * lots * market->unit_factor;
        budget->prevented_units += units;
        budget->spent_before_prevention = taker->filled_quote_units;
        /* a sell holds only the lots that will print */
        if (taker->side == SIDE_BUY) release(engine, incoming->seat->quote, units);
    } else if (takers_block) {
        take_off_shares(engine, taker, takers_block, lots, &takers_portions);
    } else {
        release_lots(engine, taker, lots);
    }
    if (!budget || budget->capped) {
        taker->left_lots -= lots;
        terms_of(engine, taker)->prevented_lots += lots;
    }
    BookSide *side = side_of(market, maker->side);
    Level *level = level_at(engine, side, index_of(side, maker->price_ticks));
    if (makers_block)
        take_off_shares(engine, maker, makers_block, lots, &makers_portions);
    else
        release_lots(engine, maker, lots);
    maker->left_lots -= lots;
    level->lots -= lots;
    terms_of(engine, maker)->prevented_lots += lots;
    event_prevented(engine, incoming, maker, lots, STP_MODE_DECREMENT, level);
    tell_taken_off(engine, taker, &takers_portions);
    tell_taken_off(engine, maker, &makers_portions);
    end_sibling(engine, list_of(engine, maker), maker->order_id);
    if (maker->left_lots) return;
    if (reserve_of(engine, maker))
        refill(engine, side, level, maker_slot);
    else
        end_resting(engine, maker_slot, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE, NULL);
}

/* The taker met an order of its own family: record it under an own id, with the lots that would have printed. Does to the
   maker what the mode says, and takes off the taker what DECREMENT takes; the caller ends the taker. */
void prevent_match(Engine *engine, Incoming *incoming, u32 maker_slot, i64 wanted_lots, Budget *budget) {
    Order *maker = order_at(engine, maker_slot);
    u32 mode = incoming->order->stp_mode;
    incoming->seat->market->last_prevented_id++;
    i64 lots = wanted_lots < maker->left_lots ? wanted_lots : maker->left_lots;
    if (mode == STP_MODE_DECREMENT) {
        decrement(engine, incoming, maker_slot, lots, budget);
        return;
    }
    event_prevented(engine, incoming, maker, lots, mode, NULL);
    if (mode == STP_MODE_EXPIRE_MAKER || mode == STP_MODE_EXPIRE_BOTH)
        end_resting(engine, maker_slot, ORDER_STATUS_EXPIRED_IN_MATCH, REASON_SELF_TRADE, NULL);
}
