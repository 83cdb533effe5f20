/* What an order does that enters a market in AUCTION: it rests, crossing or not (matching-rules 7).

   A family never faces itself when pairing: an order whose limit meets an unexpired opposite order of its own family
   expires at entry, whatever its self-trade mode, and a prevented match tells of it. Found among the family's own orders,
   which are few, and not in the book. */
#include "engine.h"

/* The better of the two, by price and time, for a taker of `side`; `best` may be 0 for none. */
static u32 first_met(const Engine *engine, u32 side, u32 best, u32 other_slot) {
    if (!best) return other_slot;
    const Order *one = order_at(engine, best), *other = order_at(engine, other_slot);
    if (one->price_ticks == other->price_ticks) return other->priority < one->priority ? other_slot : best;
    return within(side, other->price_ticks, one->price_ticks) ? other_slot : best;
}

/* Of one account's orders, and the best one found so far. */
static u32 meets_account(Engine *engine, const Incoming *incoming, u64 account_id, u32 best) {
    const Order *order = incoming->order;
    const Seat *seat = find_seat(engine, account_id, incoming->seat->market->market_id);
    if (!seat || seat->account->family_id != incoming->seat->account->family_id) return best;
    for (u32 slot = seat->first_order; slot; slot = order_at(engine, slot)->seat_next) {
        const Order *other = order_at(engine, slot);
        if (other->side == order->side || waiting_of(engine, other) || has_expired(engine, other)) continue;
        if (!within(order->side, other->price_ticks, order->price_ticks)) continue;
        best = first_met(engine, order->side, best, slot);
    }
    return best;
}

/* The order of its own family that it would meet first, by price and time; 0 where there is none. */
u32 meets_family(Engine *engine, const Incoming *incoming) {
    const u64 family_id = incoming->seat->account->family_id;
    u32 best = meets_account(engine, incoming, family_id, 0);
    for (u32 member = first_member(engine, family_id); member; member = member_at(engine, member)->next)
        best = meets_account(engine, incoming, account_at(engine, member_at(engine, member)->account)->account_id, best);
    return best;
}
