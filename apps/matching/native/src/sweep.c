/* The matching sweep: price-time priority, at the maker's price (T1, matching-rules 2).

   Per maker: price limit -> expired by time (it expires, next) -> self-trade -> breaker -> print min(taker's rest, maker's
   tip). For an order with a quote budget the price limit means that one lot is affordable at the maker's price. After each
   print the conditional orders are evaluated; what triggers takes its turn when this order is done.

   Invariants, checked on each print: no balance and no fee falls below zero, and what one side gives is what the other
   side and the fees get, in both assets. */
#include "engine.h"

/* On what a party receives, rounded up. The short way is exact: its product is below 2^63. */
static inline i64 fee_units(i64 received_units, i32 rate_ppm) {
    if (rate_ppm <= 0) return 0;
    if (LIKELY(received_units < (1ll << 43)))
        return (i64)(((u64)received_units * (u32)rate_ppm + (PPM - 1)) / PPM);
    return (i64)(((u128)received_units * (u32)rate_ppm + (PPM - 1)) / PPM);
}

/* Maker rebate out of the same trade's taker fee, in that fee's asset (matching-rules 1). */
static inline i64 rebate_units(i64 taker_receipt_units, i32 maker_rate_ppm, i64 taker_fee_units) {
    u32 rate = (u32)-maker_rate_ppm;
    i64 share = LIKELY(taker_receipt_units < (1ll << 43)) ? (i64)((u64)taker_receipt_units * rate / PPM)
                                                          : (i64)((u128)taker_receipt_units * rate / PPM);
    i64 most = taker_fee_units - (taker_fee_units + 9) / 10;
    return share < most ? share : most;
}

/* One print. The buyer's hold falls by `released_units`, of which it pays quote_units and keeps the rest. Fees are in
   what the party receives. A rebate goes to the maker out of the taker's fee: base_rebate to a selling maker, quote_rebate
   to a buying one. */
static inline void exchange(Engine *engine, Market *market, Seat *buyer, Seat *seller, i64 base_units, i64 quote_units,
                            i64 released_units, i64 buyer_fee, i64 seller_fee, i64 base_rebate, i64 quote_rebate) {
    if (!WITH_HOLDS) return;
    Balance *buyer_base = buyer->base, *buyer_quote = buyer->quote;
    Balance *seller_base = seller->base, *seller_quote = seller->quote;
    i64 base_before = buyer_base->available_units + seller_base->available_units + seller_base->held_units;
    i64 quote_before = buyer_quote->available_units + buyer_quote->held_units + seller_quote->available_units;
    i64 base_income = buyer_fee - base_rebate, quote_income = seller_fee - quote_rebate;

    i64 buyer_held = buyer_quote->held_units -= released_units;
    i64 buyer_left = buyer_quote->available_units += released_units - quote_units + quote_rebate;
    i64 seller_held = seller_base->held_units -= base_units;
    seller_base->available_units += base_rebate;
    buyer_base->available_units += base_units - buyer_fee;
    seller_quote->available_units += quote_units - seller_fee;
    market->base_asset->fee_units += base_income;
    market->quote_asset->fee_units += quote_income;

    /* Read again, so that two parties sharing a balance would be found out too. */
    if (UNLIKELY(buyer_base->available_units + seller_base->available_units + seller_base->held_units + base_income !=
                     base_before ||
                 buyer_quote->available_units + buyer_quote->held_units + seller_quote->available_units +
                         quote_income !=
                     quote_before))
        fail(engine, NBP_INVARIANT_BROKEN, "a print made or lost money");
    if (UNLIKELY((buyer_held | buyer_left | seller_held | base_income | quote_income) < 0))
        fail(engine, NBP_INVARIANT_BROKEN, "a print left a negative balance or fee");
}

static u32 sweep_book(Engine *engine, Incoming *incoming, i64 limit_ticks, Budget *budget) {
    Order *taker = incoming->order;
    Seat *seat = incoming->seat;
    Market *market = seat->market;
    const u64 family_id = seat->account->family_id;
    const i32 taker_ppm = market->taker_ppm[seat->account->fee_tier];
    const u32 taker_side = taker->side;
    const bool buying = taker_side == SIDE_BUY, by_budget = budget != NULL, capped = by_budget && budget->capped;
    const i64 unit_factor = market->unit_factor, lot_size = market->lot_size;
    const bool overdue = is_overdue(engine); /* more timers than may run before one command */
    i64 budget_units = by_budget ? budget_rest(budget) : 0;
    i64 wanted = taker->left_lots;
    const u32 takers_block = block_of(engine, taker);
    Breaker *breaker = market->breaker.count ? &market->breaker : NULL;
    bool asked = false;
    i64 admitted_ticks = 0; /* how far no breaker forbids a print, once it was asked */
    Payments parts[2]; /* of a print of block orders */
    BookSide *side = opposite(market, taker_side);

    while (side->best != NO_INDEX) {
        const u64 index = side->best;
        const i64 price_ticks = price_at(side, index);
        if (!within(taker_side, price_ticks, limit_ticks)) return REASON_NONE;
        Level *level = level_at(engine, side, index);
        const i64 lot_cost = price_ticks * unit_factor;
        /* Quote that a buying taker's hold falls by for each lot: a limit order holds its limit price, a budget what it
           spends, a market order by quantity holds nothing. */
        const i64 taker_hold_per_lot = by_budget ? lot_cost : taker->price_ticks * unit_factor;
        u64 agg_id = 0;
        u32 slot = level->head;
        while (slot) {
            Order *maker = order_at(engine, slot);
            if (by_budget) {
                wanted = budget_units / lot_cost;
                if (capped && wanted > taker->left_lots) wanted = taker->left_lots;
                if (!wanted) return REASON_BUDGET_SPENT;
            }
            if (maker->next) ask_for_order(engine, maker->next);
            Seat *maker_seat = seat_of(engine, maker);
            Account *maker_account = maker_seat->account;
            if (UNLIKELY(overdue) && has_expired(engine, maker)) {
                expire_order(engine, slot);
                slot = side->best == index ? level->head : 0;
                continue;
            }
            if (UNLIKELY(maker_account->family_id == family_id)) {
                prevent_match(engine, incoming, slot, wanted, budget);
                if (ends_taker(taker->stp_mode)) return REASON_SELF_TRADE;
                if (by_budget) {
                    budget_units = budget_rest(budget);
                    if (capped && !taker->left_lots) return REASON_SELF_TRADE;
                } else if (taker->stp_mode == STP_MODE_DECREMENT) {
                    wanted = taker->left_lots;
                    if (!wanted) return REASON_SELF_TRADE;
                }
                slot = side->best == index ? level->head : 0;
                continue;
            }

            if (UNLIKELY(breaker) && (!asked || !within(taker_side, price_ticks, admitted_ticks))) {
                asked = true;
                if (!admit_print(engine, incoming, price_ticks, &admitted_ticks) ||
                    !within(taker_side, price_ticks, admitted_ticks)) {
                    breaker->rest_units = (i128)wanted * lot_cost;
                    return REASON_BREAKER;
                }
            }

            const i64 reserve = reserve_of(engine, maker);
            i64 maker_left = maker->left_lots;
            const i64 lots = wanted < maker_left ? wanted : maker_left;
            if (lots == maker_left) ask_for_ending(engine, maker);
            maker_left -= lots;
            wanted -= lots;
            const i64 base_units = lots * lot_size, quote_units = lots * lot_cost;

            const i64 taker_gets = buying ? base_units : quote_units, maker_gets = buying ? quote_units : base_units;
            const i64 taker_fee = fee_units(taker_gets, taker_ppm);
            const i32 maker_ppm = market->maker_ppm[maker_account->fee_tier];
            i64 rebate = 0, maker_fee, maker_pays = 0;
            if (maker_ppm >= 0) {
                maker_fee = maker_pays = fee_units(maker_gets, maker_ppm);
            } else {
                rebate = rebate_units(taker_gets, maker_ppm, taker_fee);
                maker_fee = -rebate;
            }
            u32 flags = buying ? TRADE_FLAG_TAKER_IS_BUYER : 0;
            const bool shared = takers_block || (maker->terms && terms_at(engine, maker->terms)->block);
            if (UNLIKELY(shared)) {
                exchange_shares(engine, incoming, maker, lots, lot_cost, buying ? taker_hold_per_lot : lot_cost, taker_fee,
                                maker_pays, rebate, parts);
                if (capped && lots == taker->left_lots) /* what is left of the hold */
                    release(engine, seat->quote, budget_units - quote_units);
            } else if (buying) {
                const i64 released_units =
                    capped && lots == taker->left_lots ? budget_units : lots * taker_hold_per_lot;
                exchange(engine, market, seat, maker_seat, base_units, quote_units, released_units, taker_fee, maker_pays,
                         rebate, 0);
            } else {
                exchange(engine, market, maker_seat, seat, base_units, quote_units, quote_units, maker_pays, taker_fee,
                         0, rebate);
            }

            const i64 level_lots = level->lots -= lots;
            maker->left_lots = maker_left;
            maker->filled_quote_units += quote_units;
            taker->filled_quote_units += quote_units;
            if (by_budget) {
                incoming->filled_lots += lots;
                budget_units -= quote_units;
                if (capped) wanted = taker->left_lots - lots;
            }
            if (capped || !by_budget) {
                taker->left_lots = wanted;
                if (!wanted) flags |= TRADE_FLAG_TAKER_DONE;
            }
            if (!maker_left && !reserve) flags |= TRADE_FLAG_MAKER_DONE;

            market->last_price_ticks = price_ticks;
            const u64 trade_id = ++market->last_trade_id;
            if (!agg_id) agg_id = ++market->last_agg_id;
            event_trade(engine, incoming, maker, maker_seat,
                        (Print){trade_id, agg_id, price_ticks, lots, taker_fee, maker_fee, level_lots,
                                maker_left + reserve, flags});
            if (UNLIKELY(shared)) tell_print(engine, taker, maker, parts, trade_id, price_ticks);

            const u32 list = list_of(engine, maker);
            u32 gone = 0; /* the maker's slot, once it is filled */
            if (maker->next) ask_for(seat_at(engine, order_at(engine, maker->next)->seat));
            if (!maker_left) {
                if (UNLIKELY(reserve)) {
                    refill(engine, side, level, slot);
                    slot = level->head;
                } else {
                    const u32 following = maker->next;
                    gone = slot;
                    forget_order(engine, slot);
                    if (following) {
                        level->head = following;
                        order_at(engine, following)->prev = 0;
                    } else {
                        if (level_lots)
                            fail(engine, NBP_INVARIANT_BROKEN, "a level without orders still has lots");
                        drop_level(engine, side, index);
                    }
                    slot = following;
                }
            }
            if (UNLIKELY(list)) { /* a resting member of a list has traded */
                const u64 maker_id = maker->order_id;
                end_sibling(engine, list, maker_id);
                if (!maker_left && !reserve) leave_list(engine, list, maker_id, ORDER_STATUS_FILLED, REASON_NONE);
                slot = side->best == index ? level->head : 0;
            }
            if (gone) free_order(engine, gone);
            if (UNLIKELY(price_ticks <= market->trigger_low || price_ticks >= market->trigger_high)) {
                evaluate(engine, market, price_ticks); /* may end orders, and their level with them */
                slot = side->best == index ? level->head : 0;
            }
            if (flags & TRADE_FLAG_TAKER_DONE) return REASON_NONE;
        }
    }
    return REASON_NO_LIQUIDITY;
}

/* Print the incoming order against the opposite side down to its limit (sweep.py). */
u32 sweep(Engine *engine, Incoming *incoming, i64 limit_ticks, Budget *budget) {
    const u32 stopped_by = sweep_book(engine, incoming, limit_ticks, budget);
    Market *market = incoming->seat->market;
    if (UNLIKELY(market->breaker.count)) sweep_ended(engine, &market->breaker, incoming);
    return stopped_by;
}
