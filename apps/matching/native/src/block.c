/* PLACE_BLOCK: one order of an institution for dozens of sub-accounts, allocated in the same step as it fills (T12).

   The run is a head, which names one of the account's allocation rules, a whole PLACE_ORDER, and for a pro-rata rule the
   requested lots of its accounts. It is checked like any order; behind the price band comes the rule: it exists, its
   accounts are of the family, the requested lots fit. Then limits, and the funds of every sub-account for its share. */
#include "engine.h"

#define LOTS_A_FRAME (FRAME_SIZE / sizeof(i64))

static i64 lots_frames(const PlaceBlockFrame *head) { return (head->requested_count + LOTS_A_FRAME - 1) / LOTS_A_FRAME; }

/* They are the last frames of the run. */
static const u8 *requested_lots(const PlaceBlockFrame *head) {
    return (const u8 *)head + (head->parts - lots_frames(head)) * FRAME_SIZE;
}

/* The weights of the rule's accounts, above 0 together; why there are none, or 0. */
static u32 rule_weights(const AllocationRule *rule, const PlaceBlockFrame *head, i64 *weights) {
    const u32 count = head->requested_count;
    if (rule->method != ALLOCATION_METHOD_PRO_RATA) {
        if (count) return REASON_ALLOCATION_WEIGHTS;
        for (u32 at = 0; at < rule->count; at++)
            weights[at] = rule->method == ALLOCATION_METHOD_FIXED ? rule->weights_bp[at] : 1;
        return REASON_NONE;
    }
    if (count != rule->count) return REASON_ALLOCATION_WEIGHTS;
    i128 sum = 0;
    memcpy(weights, requested_lots(head), count * sizeof *weights);
    for (u32 at = 0; at < count; at++) {
        if (weights[at] < 0) return REASON_ALLOCATION_WEIGHTS;
        sum += weights[at];
    }
    if (!sum) return REASON_ALLOCATION_WEIGHTS;
    return sum > AMOUNT_MAX ? REASON_OVERFLOW : REASON_NONE;
}

/* Give each account of the rule its share; why that cannot be, or 0. */
static u32 share_order(Engine *engine, Incoming *incoming, const void *context) {
    const PlaceBlockFrame *head = context;
    Order *order = incoming->order;
    Market *market = incoming->seat->market;
    const Account *owner = incoming->seat->account;
    const u32 found = find_rule(engine, owner, head->rule_id);
    if (!found) return REASON_UNKNOWN_ALLOCATION;
    const AllocationRule *rule = rule_at(engine, found);
    if (!is_of_family(engine, rule, owner)) return REASON_ALLOCATION_FAMILY;
    i64 weights[MAX_ALLOCATION_ACCOUNTS], final[MAX_ALLOCATION_ACCOUNTS];
    const u32 reason = rule_weights(rule, head, weights);
    if (reason) return reason;
    largest_remainder(final, order->quantity_lots, weights, rule->count);
    BlockOrder *block = block_at(engine, block_of(engine, order));
    for (u32 at = 0; at < rule->count; at++) {
        if (!final[at]) continue;
        Seat *seat = find_seat(engine, rule->accounts[at], market->market_id);
        if (!seat) seat = take_seat(engine, find_account(engine, rule->accounts[at]), market);
        block->shares[block->count++] = (Share){.final_lots = final[at], .seat = seat->slot};
    }
    return REASON_NONE;
}

void place_block(Engine *engine, const u8 *bytes) {
    const PlaceBlockFrame *head = (const void *)bytes;
    const u32 count = head->requested_count;
    const u8 *order;
    if (!find_orders(bytes, head->parts - lots_frames(head), 1, &order) || head->flags ||
        !is_order_of(order, head->market_id, head->account_id)) {
        event_rejected(engine, head->market_id, head->account_id, 0, 0, NO_CLIENT_ID, REASON_MALFORMED);
        return;
    }
    const u32 slot = pool_take(engine, &engine->blocks);
    BlockOrder *block = block_at(engine, slot);
    block->rule_id = head->rule_id;
    block->requested_crc = crc_of(0, requested_lots(head), count * sizeof(i64));
    place_order(engine, order, NULL, share_order, head, slot);
}
