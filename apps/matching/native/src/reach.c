/* What an incoming order would meet: read-only runs of the sweep's rules, which change nothing (matching-rules 2).

   FOK asks how much would print, a market buy what that costs, a sell by quote budget how much it must hold; LIMIT_MAKER
   and POST_ONLY markets ask whether anything would match at all. An order that has expired by time counts as gone.

   A print may trigger one leg of an OCO, and its other leg, which rests further on, leaves the book at once. Only the first
   print of a sweep can do that (has_ended), so the runs see exactly what the sweep will meet. */
#include "engine.h"

/* A limit order's price meets the best opposite price, whoever stands there. */
bool meets_book(Market *market, const Order *order) {
    const BookSide *side = opposite(market, order->side);
    return side->best != NO_INDEX && within(order->side, price_at(side, side->best), order->price_ticks);
}

/* A limit order meets an opposite order that has not expired, its own family's included. */
bool would_match(Engine *engine, Market *market, const Order *order) {
    if (!meets_book(market, order)) return false;
    if (!is_overdue(engine)) return true;
    BookSide *side = opposite(market, order->side);
    for (u64 index = side->best; index != NO_INDEX; index = index_after(engine, side, index)) {
        if (!within(order->side, price_at(side, index), order->price_ticks)) return false;
        for (u32 slot = level_at(engine, side, index)->head; slot; slot = order_at(engine, slot)->next)
            if (!has_expired(engine, order_at(engine, slot))) return true;
    }
    return false;
}

/* What a read-only run has seen so far. */
typedef struct Reach {
    const Incoming *incoming;
    Prints prints;
    i64 wanted_lots, budget_units;
    bool by_budget, overdue, asked;
    i64 price_ticks, first_ticks, admitted_ticks; /* of the breakers */
    bool unprinted; /* and the first print may trigger something */
    i64 triggering_ticks; /* of the first print, 0 before it and where it triggers nothing */
} Reach;

/* Whether the first print has ended an order that the run had not met before: it triggers the order's other leg.

   No later print can. A leg that rests is a LIMIT_MAKER and beside it waits a stop-loss of the same side. That of a sell
   triggers on a fall, while the prints of a sweep that buys only rise; that of a buy the other way round. So what the first
   print leaves waiting waits until the sweep is over; a trailing stop too, which later prints can but move away. */
static bool has_ended(Engine *engine, const Reach *reach, const Order *maker) {
    const u32 list = list_of(engine, maker);
    const u32 sibling = list ? sibling_of(list_at(engine, list), maker->order_id) : 0;
    return sibling && triggers_at(engine, order_at(engine, sibling), reach->triggering_ticks);
}

static void first_print(Reach *reach) {
    const Market *market = reach->incoming->seat->market;
    reach->unprinted = false;
    if (reach->price_ticks <= market->trigger_low || reach->price_ticks >= market->trigger_high)
        reach->triggering_ticks = reach->price_ticks;
}

/* A tip of `maker`; whether the run goes on. */
static bool reach_tip(Engine *engine, Reach *reach, const Order *maker, i64 tip_lots, i64 lot_cost) {
    const Order *taker = reach->incoming->order;
    if (reach->by_budget) reach->wanted_lots = reach->budget_units / lot_cost;
    if (!reach->wanted_lots) return false;
    if (reach->overdue && has_expired(engine, maker)) return true;
    i64 lots = reach->wanted_lots < tip_lots ? reach->wanted_lots : tip_lots;
    if (account_of(engine, maker)->family_id != reach->incoming->seat->account->family_id) {
        const Incoming *incoming = reach->incoming;
        if (UNLIKELY(incoming->seat->market->breaker.count) &&
            (!reach->asked || !within(taker->side, reach->price_ticks, reach->admitted_ticks))) {
            reach->asked = true;
            if (!try_print(engine, incoming, &reach->first_ticks, reach->price_ticks, reach->prints.lots,
                           reach->prints.quote_units, &reach->admitted_ticks) ||
                !within(taker->side, reach->price_ticks, reach->admitted_ticks))
                return false;
        }
        if (UNLIKELY(reach->unprinted)) first_print(reach);
        reach->prints.lots += lots;
        reach->prints.quote_units += (i128)lots * lot_cost;
    } else if (ends_taker(taker->stp_mode)) {
        return false;
    } else if (taker->stp_mode != STP_MODE_DECREMENT) {
        return true;
    }
    reach->wanted_lots -= lots;
    if (reach->by_budget) reach->budget_units -= lots * lot_cost;
    return lots == tip_lots;
}

/* A level: first what shows, then the tips that refills would bring, one of each iceberg in turn. What the first print ends
   is told when an order would be met, so that one met before is not. */
static bool reach_level(Engine *engine, Reach *reach, const Level *level, i64 lot_cost) {
    Buffer *icebergs = &engine->scratch;
    icebergs->size = 0;
    for (u32 slot = level->head; slot; slot = order_at(engine, slot)->next) {
        const Order *maker = order_at(engine, slot);
        if (UNLIKELY(reach->triggering_ticks) && has_ended(engine, reach, maker)) continue;
        if (!reach_tip(engine, reach, maker, maker->left_lots, lot_cost)) return false;
        if (reserve_of(engine, maker)) memcpy(buffer_add(engine, icebergs, sizeof slot), &slot, sizeof slot);
    }
    u32 *slots = (u32 *)(void *)icebergs->data;
    size_t count = icebergs->size / sizeof *slots;
    for (i64 turn = 0; count; turn++) {
        size_t kept = 0;
        for (size_t at = 0; at < count; at++) {
            const Order *maker = order_at(engine, slots[at]);
            const Terms *terms = terms_at(engine, maker->terms);
            i64 rest = terms->reserve_lots - turn * terms->display_lots;
            i64 tip = terms->display_lots < rest ? terms->display_lots : rest;
            if (!reach_tip(engine, reach, maker, tip, lot_cost)) return false;
            if (rest > tip) slots[kept++] = slots[at];
        }
        count = kept;
    }
    return true;
}

/* What the sweep would print down to the limit, by the taker's lots or, where it is not 0, by `budget_units`. */
Prints would_print(Engine *engine, const Incoming *incoming, i64 limit_ticks, i64 budget_units) {
    Market *market = incoming->seat->market;
    u32 taker_side = incoming->order->side;
    BookSide *side = opposite(market, taker_side);
    Reach reach = {
        .incoming = incoming,
        .wanted_lots = incoming->order->left_lots,
        .budget_units = budget_units,
        .by_budget = budget_units > 0,
        .overdue = is_overdue(engine),
        .unprinted = market->trigger_low > 0 || market->trigger_high < INT64_MAX,
    };
    for (u64 index = side->best; index != NO_INDEX; index = index_after(engine, side, index)) {
        i64 price_ticks = price_at(side, index);
        if (!within(taker_side, price_ticks, limit_ticks)) break;
        reach.price_ticks = price_ticks;
        if (!reach_level(engine, &reach, level_at(engine, side, index), price_ticks * market->unit_factor)) break;
    }
    return reach.prints;
}
