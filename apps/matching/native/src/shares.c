/* Money of block orders: each sub-account holds its own share, pays and receives for the lots it gets, and is told.

   The order itself is its owner's; the shares are the money behind it (T12, matching-rules 8). A fee or rebate is reckoned
   once for the fill and divided over it by largest remainder, weighted by the lots that each account got of it.

   Invariants, checked on each print as in the sweep: nothing falls below zero, what one side gives the other side and the
   fees get. */
#include "engine.h"

/* Of these kinds it is known at acceptance what each lot holds: limits that hide nothing, sells by quantity. */
bool is_well_formed_block(const Incoming *incoming) {
    const Order *order = incoming->order;
    if (order->kind == ORDER_KIND_LIMIT || order->kind == ORDER_KIND_LIMIT_MAKER) return !incoming->display_lots;
    return order->kind == ORDER_KIND_MARKET && order->side == SIDE_SELL && !incoming->budget_units;
}

/* Units that the order holds for each open lot, of what it pays with. */
i64 hold_per_lot(const Engine *engine, const Order *order) { return units_for(market_of(engine, order), order, 1); }

Balance *paid_by(const Order *order, const Seat *seat) { return order->side == SIDE_BUY ? seat->quote : seat->base; }

static i64 open_share(const Share *share) { return share->final_lots - share->allocated_lots; }

/* available -> held; back where negative. */
static void move_share(Engine *engine, Balance *balance, i64 units) {
    balance->available_units -= units;
    balance->held_units += units;
    if (balance->available_units < 0 || balance->held_units < 0)
        fail(engine, NBP_INVARIANT_BROKEN, "a share of a block order is held by nothing");
}

/* Hold each share at its own account; false, and nothing changed, where one of them is short. */
bool hold_shares(Engine *engine, const Order *order, u32 slot) {
    const BlockOrder *block = block_at(engine, slot);
    const i64 per_lot = hold_per_lot(engine, order);
    for (u32 at = 0; at < block->count; at++) {
        const Share *share = &block->shares[at];
        if (paid_by(order, seat_at(engine, share->seat))->available_units < open_share(share) * per_lot) return false;
    }
    for (u32 at = 0; at < block->count; at++)
        move_share(engine, paid_by(order, seat_at(engine, block->shares[at].seat)),
                   open_share(&block->shares[at]) * per_lot);
    return true;
}

/* The order ends: give back what its shares still hold. */
void release_shares(Engine *engine, const Order *order, u32 slot) {
    const BlockOrder *block = block_at(engine, slot);
    const i64 per_lot = hold_per_lot(engine, order);
    for (u32 at = 0; at < block->count; at++)
        move_share(engine, paid_by(order, seat_at(engine, block->shares[at].seat)),
                   -(open_share(&block->shares[at]) * per_lot));
}

/* Lots that a prevented match took: allocated like a fill, their hold released, without money. */
void take_off_shares(Engine *engine, const Order *order, u32 slot, i64 lots, Payments *portions) {
    const i64 per_lot = hold_per_lot(engine, order);
    allocate(engine, slot, lots, portions);
    for (u32 at = 0; at < portions->count; at++)
        move_share(engine, paid_by(order, portions->each[at].seat), -(portions->each[at].lots * per_lot));
}

/* What each account behind the order pays for; the order's own one where it is no block order. */
static void divide_print(Engine *engine, const Order *order, i64 lots, i64 fee_units, i64 rebate_units,
                         Payments *payments) {
    const u32 block = block_of(engine, order);
    if (!block) {
        payments->count = 1;
        payments->each[0] = (Payment){NULL, seat_of(engine, order), lots, fee_units, rebate_units};
        return;
    }
    i64 weights[MAX_ALLOCATION_ACCOUNTS] = {0}, fees[MAX_ALLOCATION_ACCOUNTS], rebates[MAX_ALLOCATION_ACCOUNTS];
    allocate(engine, block, lots, payments);
    for (u32 at = 0; at < payments->count; at++) weights[at] = payments->each[at].lots;
    largest_remainder(fees, fee_units, weights, payments->count);
    largest_remainder(rebates, rebate_units, weights, payments->count);
    for (u32 at = 0; at < payments->count; at++) {
        payments->each[at].fee_units = fees[at];
        payments->each[at].rebate_units = rebates[at];
    }
}

static void add_totals(const Payments *payments, i128 *base_units, i128 *quote_units) {
    for (u32 at = 0; at < payments->count; at++) {
        const Seat *seat = payments->each[at].seat;
        *base_units += (i128)seat->base->available_units + seat->base->held_units;
        *quote_units += (i128)seat->quote->available_units + seat->quote->held_units;
    }
}

static bool any_negative(const Payments *payments) {
    i64 signs = 0;
    for (u32 at = 0; at < payments->count; at++) {
        const Seat *seat = payments->each[at].seat;
        signs |= seat->base->available_units | seat->base->held_units;
        signs |= seat->quote->available_units | seat->quote->held_units;
    }
    return signs < 0;
}

/* One print in which a party is a block order; `parts` are the taker's and the maker's payments. Fees and rebate >= 0.
   `held_per_lot` is what the buyer's hold falls by for each lot, in quote units. */
void exchange_shares(Engine *engine, const Incoming *incoming, Order *maker, i64 lots, i64 lot_cost, i64 held_per_lot,
                     i64 taker_fee, i64 maker_fee, i64 rebate, Payments parts[2]) {
    Market *market = incoming->seat->market;
    divide_print(engine, incoming->order, lots, taker_fee, 0, &parts[0]);
    divide_print(engine, maker, lots, maker_fee, rebate, &parts[1]);
    const bool buying = incoming->order->side == SIDE_BUY;
    const Payments *buyers = &parts[buying ? 0 : 1], *sellers = &parts[buying ? 1 : 0];
    i128 base_before = 0, quote_before = 0, base_after = 0, quote_after = 0;
    i64 base_income = 0, quote_income = 0;
    add_totals(buyers, &base_before, &quote_before);
    add_totals(sellers, &base_before, &quote_before);
    for (u32 at = 0; at < buyers->count; at++) {
        const Payment *each = &buyers->each[at];
        each->seat->quote->held_units -= each->lots * held_per_lot;
        each->seat->quote->available_units += each->lots * (held_per_lot - lot_cost) + each->rebate_units;
        each->seat->base->available_units += each->lots * market->lot_size - each->fee_units;
        base_income += each->fee_units;
        quote_income -= each->rebate_units;
    }
    for (u32 at = 0; at < sellers->count; at++) {
        const Payment *each = &sellers->each[at];
        each->seat->base->held_units -= each->lots * market->lot_size;
        each->seat->base->available_units += each->rebate_units;
        each->seat->quote->available_units += each->lots * lot_cost - each->fee_units;
        quote_income += each->fee_units;
        base_income -= each->rebate_units;
    }
    market->base_asset->fee_units += base_income;
    market->quote_asset->fee_units += quote_income;
    add_totals(buyers, &base_after, &quote_after);
    add_totals(sellers, &base_after, &quote_after);
    if (base_after != base_before - base_income || quote_after != quote_before - quote_income)
        fail(engine, NBP_INVARIANT_BROKEN, "a print of a block order made or lost money");
    if (base_income < 0 || quote_income < 0 || any_negative(buyers) || any_negative(sellers))
        fail(engine, NBP_INVARIANT_BROKEN, "a print of a block order left a negative balance or fee");
}

/* ---- what the sub-accounts are told -------------------------------------------------------------------------------- */

/* Behind the TRADE event: the taker's sub-accounts, then the maker's. */
void tell_print(Engine *engine, const Order *taker, const Order *maker, const Payments parts[2], u64 trade_id,
                i64 price_ticks) {
    const Order *orders[2] = {taker, maker};
    for (u32 party = 0; party < 2; party++)
        for (u32 at = 0; at < parts[party].count; at++) {
            const Payment *each = &parts[party].each[at];
            if (each->share)
                event_allocated(engine, orders[party], each->share, ALLOCATION_STEP_FILLED, each->lots, trade_id,
                                price_ticks, each->fee_units - each->rebate_units, party == 0);
        }
}

/* Behind the PREVENTED_MATCH event. */
void tell_taken_off(Engine *engine, const Order *order, const Payments *portions) {
    for (u32 at = 0; at < portions->count; at++)
        event_allocated(engine, order, portions->each[at].share, ALLOCATION_STEP_PREVENTED, portions->each[at].lots, 0, 0,
                        0, false);
}

/* Behind the ORDER_ACCEPTED event of a block order; nothing for any other. */
void tell_held(Engine *engine, const Order *order) {
    const u32 slot = block_of(engine, order);
    if (!slot) return;
    const BlockOrder *block = block_at(engine, slot);
    for (u32 at = 0; at < block->count; at++)
        event_allocated(engine, order, &block->shares[at], ALLOCATION_STEP_HELD, block->shares[at].final_lots, 0, 0, 0,
                        false);
}
