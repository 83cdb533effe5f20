/* The end of a call phase: everything that crosses is paired at one price, then the market opens (matching-rules 7).

   Expired orders go first, so what was published is what is traded. Both sides pair in price-time order. The later order
   of a pair, by its place, is the taker: fees and flag. Icebergs trade whole, at their place; what is left keeps it and
   shows min(display, rest). No level is told by these TRADE events, as a price may stand in none: LEVEL_CHANGED follows
   for each level that was touched. Trades in a row of one taker have one agg_id. */
#include "engine.h"

#include <stdlib.h>

typedef struct Overdue {
    i64 due_ms;
    u64 seq, order_id;
    u32 slot, unused;
} Overdue;

static int compare_overdue(const void *left, const void *right) {
    const Overdue *one = left, *other = right;
    if (one->due_ms != other->due_ms) return one->due_ms < other->due_ms ? -1 : 1;
    return one->seq < other->seq ? -1 : one->seq > other->seq;
}

/* The market's resting orders among the timers that are due, from this place of the heap down; into engine->scratch. */
static void collect_overdue(Engine *engine, const Market *market, u32 place) {
    if (place > engine->timer_count) return;
    const Timer *timer = timer_at(engine, place);
    if (timer->due_ms > (i64)engine->now_ms) return;
    if (timer->subject == TIMER_ORDER) {
        const Order *order = order_at(engine, timer->slot);
        const Overdue found = {timer->due_ms, timer->seq, order->order_id, timer->slot, 0};
        if (market_of(engine, order) == market && !waiting_of(engine, order))
            memcpy(buffer_add(engine, &engine->scratch, sizeof found), &found, sizeof found);
    }
    collect_overdue(engine, market, 2 * place);
    collect_overdue(engine, market, 2 * place + 1);
}

/* End the market's orders whose time has come, in the order in which their timers would. */
void expire_overdue(Engine *engine, Market *market) {
    engine->scratch.size = 0;
    collect_overdue(engine, market, 1);
    const size_t size = engine->scratch.size;
    if (!size) return;
    Overdue *found = memory_take(engine, size);
    memcpy(found, engine->scratch.data, size);
    qsort(found, size / sizeof *found, sizeof *found, compare_overdue);
    for (size_t at = 0; at < size / sizeof *found; at++) {
        const Order *order = order_at(engine, found[at].slot);
        if (order->order_id == found[at].order_id && has_expired(engine, order)) expire_order(engine, found[at].slot);
    }
    memory_give(engine, found, size);
}

/* So many fewer open lots; an iceberg shows its display of the rest, at the same place. The lots of its level then. */
static i64 take_lots(Engine *engine, Market *market, Order *order, i64 lots) {
    BookSide *side = side_of(market, order->side);
    Level *level = level_at(engine, side, index_of(side, order->price_ticks));
    const i64 rest = open_lots(engine, order) - lots;
    i64 tip = rest;
    if (order->terms) {
        Terms *terms = terms_at(engine, order->terms);
        if (terms->display_lots) {
            if (terms->display_lots < tip) tip = terms->display_lots;
            hide_lots(engine, side, order->price_ticks, rest - tip - terms->reserve_lots);
            terms->reserve_lots = rest - tip;
        }
    }
    level->lots += tip - order->left_lots;
    order->left_lots = tip;
    return level->lots;
}

/* A level that was touched, after the others of its side; the last entry may be that level already. */
static void touch(Engine *engine, Buffer *levels, i64 price_ticks, i64 lots) {
    if (levels->size) {
        Touched *last = (Touched *)(void *)(levels->data + levels->size) - 1;
        if (last->price_ticks == price_ticks) {
            last->lots = lots;
            return;
        }
    }
    const Touched level = {price_ticks, lots};
    memcpy(buffer_add(engine, levels, sizeof level), &level, sizeof level);
}

/* Money and event of one pair, whose open lots are already without this print. */
static void print_pair(Engine *engine, Market *market, Order *taker, Order *maker, i64 price_ticks, i64 lots) {
    const i64 lot_cost = price_ticks * market->unit_factor;
    const i64 base_units = lots * market->lot_size, quote_units = lots * lot_cost;
    const bool buying = taker->side == SIDE_BUY;
    const i64 taker_gets = buying ? base_units : quote_units, maker_gets = buying ? quote_units : base_units;
    Seat *taker_seat = seat_of(engine, taker), *maker_seat = seat_of(engine, maker);
    const i64 taker_fee = fee_units(taker_gets, market->taker_ppm[taker_seat->account->fee_tier]);
    const i32 maker_ppm = market->maker_ppm[maker_seat->account->fee_tier];
    i64 rebate = 0, maker_fee, maker_pays = 0;
    if (maker_ppm >= 0) {
        maker_fee = maker_pays = fee_units(maker_gets, maker_ppm);
    } else {
        rebate = rebate_units(taker_gets, maker_ppm, taker_fee);
        maker_fee = -rebate;
    }
    const i64 held = hold_per_lot(engine, buying ? taker : maker);
    const Incoming incoming = {.order = taker, .seat = taker_seat};
    const bool shared = block_of(engine, taker) || block_of(engine, maker);
    Payments parts[2];
    if (shared)
        exchange_shares(engine, &incoming, maker, lots, lot_cost, held, taker_fee, maker_pays, rebate, parts);
    else if (buying)
        exchange(engine, market, taker_seat, maker_seat, base_units, quote_units, lots * held, taker_fee, maker_pays,
                 rebate, 0);
    else
        exchange(engine, market, maker_seat, taker_seat, base_units, quote_units, lots * held, maker_pays, taker_fee, 0,
                 rebate);
    taker->filled_quote_units += quote_units;
    maker->filled_quote_units += quote_units;
    market->last_price_ticks = price_ticks;
    market->last_trade_id++;
    u32 flags = TRADE_FLAG_AUCTION | (buying ? TRADE_FLAG_TAKER_IS_BUYER : 0);
    if (!maker->left_lots) flags |= TRADE_FLAG_MAKER_DONE;
    if (!taker->left_lots) flags |= TRADE_FLAG_TAKER_DONE;
    event_trade(engine, &incoming, maker, maker_seat,
                (Print){market->last_trade_id, market->last_agg_id, price_ticks, lots, taker_fee, maker_fee, 0,
                        open_lots(engine, maker), flags});
    if (shared) tell_print(engine, taker, maker, parts, market->last_trade_id, price_ticks);
}

static u32 first_of(Engine *engine, Market *market, u32 which) {
    BookSide *side = side_of(market, which);
    if (side->best == NO_INDEX) fail(engine, NBP_INVARIANT_BROKEN, "an auction trades more than there is");
    return level_at(engine, side, side->best)->head;
}

/* A member of a list has traded. */
static void after_pair(Engine *engine, const Order *order) {
    const u32 list = list_of(engine, order);
    if (!list) return;
    end_sibling(engine, list, order->order_id);
    if (!open_lots(engine, order)) leave_list(engine, list, order->order_id, ORDER_STATUS_FILLED, REASON_NONE);
}

/* Trade `at.lots` at `at.price_ticks`: both sides have as much at that price or better. */
void pair_orders(Engine *engine, Market *market, AuctionPrice at) {
    i64 left = at.lots;
    u64 last_taker = 0;
    for (u32 which = 0; which < 2; which++) engine->touched[which].size = 0;
    while (left) {
        const u32 buyer_slot = first_of(engine, market, SIDE_BUY), seller_slot = first_of(engine, market, SIDE_SELL);
        Order *buyer = order_at(engine, buyer_slot), *seller = order_at(engine, seller_slot);
        i64 lots = left;
        if (open_lots(engine, buyer) < lots) lots = open_lots(engine, buyer);
        if (open_lots(engine, seller) < lots) lots = open_lots(engine, seller);
        Order *taker = buyer->priority > seller->priority ? buyer : seller;
        Order *maker = taker == buyer ? seller : buyer;
        if (taker->order_id != last_taker) {
            market->last_agg_id++;
            last_taker = taker->order_id;
        }
        touch(engine, &engine->touched[SIDE_BUY], buyer->price_ticks, take_lots(engine, market, buyer, lots));
        touch(engine, &engine->touched[SIDE_SELL], seller->price_ticks, take_lots(engine, market, seller, lots));
        print_pair(engine, market, taker, maker, at.price_ticks, lots);
        const bool buyer_done = !buyer->left_lots, seller_done = !seller->left_lots;
        if (buyer_done) withdraw_order(engine, buyer_slot);
        if (seller_done) withdraw_order(engine, seller_slot);
        after_pair(engine, taker);
        after_pair(engine, maker);
        if (buyer_done) free_order(engine, buyer_slot);
        if (seller_done) free_order(engine, seller_slot);
        left -= lots;
    }
    for (u32 which = 0; which < 2; which++) {
        const Buffer *levels = &engine->touched[which];
        for (size_t offset = 0; offset < levels->size; offset += sizeof(Touched)) {
            const Touched *level = (const Touched *)(const void *)(levels->data + offset);
            event_level_changed(engine, market, which, level->price_ticks, level->lots);
        }
    }
}
