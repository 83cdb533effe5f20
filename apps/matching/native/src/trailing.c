/* Trailing stops that are active: their stop follows the best last price since activation (T4, matching-rules 5).

   A sell fires at last <= floor(best x (10^4 - bips) / 10^4), best being the highest last price since its activation; a buy
   at last >= ceil(best x (10^4 + bips) / 10^4), best being the lowest.

   Layout
       Orders with the same best price make a segment. A print beyond the best of some segments makes all these one segment:
       from then on they have the same best for ever. So a print moves segments and no orders. A segment's orders are a heap
       by distance; the segments of a side stand in two heaps, by what a print improves first and by what fires first, and
       in a table by their best price.
       A segment that has joined a larger one is kept until no order points at it; an order points at the larger one as soon
       as it is asked. `sign` is 1 for sells, which fire on a fall, and -1 for buys; a greater key is nearer. */
#include "engine.h"

static i64 sign_of(u32 side) { return side == SIDE_SELL ? 1 : -1; }

/* sign x stop price of a trailing order with that best price, rounded down. */
i64 stop_key(u32 side, i64 best_ticks, u32 bips) {
    const i128 scaled = (i128)sign_of(side) * best_ticks * (BASIS_POINTS - sign_of(side) * (i64)bips);
    i128 key = scaled / BASIS_POINTS;
    if (scaled % BASIS_POINTS < 0) key--;
    return (i64)key;
}

static u64 hash_of_segment(const Engine *engine, const Market *market, u32 side, i64 best_ticks) {
    return mixed((u64)best_ticks * 0x9e3779b97f4a7c15u + market->slot * 2 + side + engine->hash_seed);
}

static u32 find_segment(Engine *engine, const Market *market, u32 side, i64 best_ticks) {
    Probe probe = table_probe(&engine->segment_ids, hash_of_segment(engine, market, side, best_ticks));
    for (u32 slot; (slot = probe_next(&probe));) {
        const Segment *segment = segment_at(engine, slot);
        if (segment->market == market && segment->side == side && segment->best_ticks == best_ticks) return slot;
    }
    return 0;
}

/* Out of the indexes; it may change and comes back by put_in. */
static void take_out(Engine *engine, u32 slot) {
    Segment *segment = segment_at(engine, slot);
    Trailing *trailing = &segment->market->trailing[segment->side];
    heap_remove(engine, HEAP_OF_BESTS, &trailing->bests, slot);
    heap_remove(engine, HEAP_OF_FRONTS, &trailing->fronts, slot);
    table_remove(engine, &engine->segment_ids,
                 hash_of_segment(engine, segment->market, segment->side, segment->best_ticks), slot);
}

static void put_in(Engine *engine, u32 slot) {
    Segment *segment = segment_at(engine, slot);
    Trailing *trailing = &segment->market->trailing[segment->side];
    const Terms *first = terms_at(engine, order_at(engine, segment->root)->terms);
    heap_add(engine, HEAP_OF_BESTS, &trailing->bests, slot, -sign_of(segment->side) * segment->best_ticks, slot);
    heap_add(engine, HEAP_OF_FRONTS, &trailing->fronts, slot,
             stop_key(segment->side, segment->best_ticks, first->trailing_bips), slot);
    table_insert(engine, &engine->segment_ids,
                 hash_of_segment(engine, segment->market, segment->side, segment->best_ticks), slot);
}

/* One that points at it less; with the last one it goes, and points no more at the one it has joined. */
static void leave_segment(Engine *engine, u32 slot) {
    while (slot && !--segment_at(engine, slot)->pointers) {
        const u32 joined = segment_at(engine, slot)->joined;
        pool_give(&engine->segments, slot);
        slot = joined;
    }
}

/* The segment where the order stands. */
u32 segment_of(Engine *engine, Terms *terms) {
    u32 slot = terms->segment;
    while (segment_at(engine, slot)->joined) slot = segment_at(engine, slot)->joined;
    if (slot != terms->segment) {
        segment_at(engine, slot)->pointers++;
        leave_segment(engine, terms->segment);
        terms->segment = slot;
    }
    return slot;
}

i64 best_of(Engine *engine, Terms *terms) {
    return terms->segment ? segment_at(engine, segment_of(engine, terms))->best_ticks : 0;
}

void add_trailing(Engine *engine, u32 order_slot, i64 best_ticks) {
    const Order *order = order_at(engine, order_slot);
    Terms *terms = terms_at(engine, order->terms);
    Market *market = market_of(engine, order);
    u32 slot = find_segment(engine, market, order->side, best_ticks);
    if (slot) {
        take_out(engine, slot);
    } else {
        slot = pool_take(engine, &engine->segments);
        *segment_at(engine, slot) = (Segment){.best_ticks = best_ticks, .market = market, .side = order->side};
    }
    Segment *segment = segment_at(engine, slot);
    heap_add(engine, HEAP_OF_ORDERS, &segment->root, order_slot, -(i64)terms->trailing_bips, terms->accepted_seq);
    segment->orders++;
    segment->pointers++;
    terms->segment = slot;
    put_in(engine, slot);
}

/* `slot` is out of the indexes. */
static void leave_trailing(Engine *engine, u32 slot, u32 order_slot) {
    Segment *segment = segment_at(engine, slot);
    heap_remove(engine, HEAP_OF_ORDERS, &segment->root, order_slot);
    segment->orders--;
    terms_at(engine, order_at(engine, order_slot)->terms)->segment = 0;
}

void remove_trailing(Engine *engine, u32 order_slot) {
    const u32 slot = segment_of(engine, terms_at(engine, order_at(engine, order_slot)->terms));
    take_out(engine, slot);
    leave_trailing(engine, slot, order_slot);
    if (segment_at(engine, slot)->root) put_in(engine, slot);
    leave_segment(engine, slot);
}

/* A print at this price: it is the best one of every order whose best was worse. */
void follow_price(Engine *engine, Market *market, u32 side, i64 price_ticks) {
    Trailing *trailing = &market->trailing[side];
    while (trailing->bests && segment_at(engine, trailing->bests)->by_best.key > -sign_of(side) * price_ticks) {
        u32 large = trailing->bests, small = find_segment(engine, market, side, price_ticks);
        take_out(engine, large);
        segment_at(engine, large)->best_ticks = price_ticks;
        if (small) {
            take_out(engine, small);
            if (segment_at(engine, small)->orders > segment_at(engine, large)->orders) {
                const u32 larger = small;
                small = large;
                large = larger;
            }
            Segment *into = segment_at(engine, large), *from = segment_at(engine, small);
            into->root = heap_join(engine, HEAP_OF_ORDERS, into->root, from->root);
            into->orders += from->orders;
            into->pointers++;
            from->joined = large;
            from->root = 0;
        }
        put_in(engine, large);
    }
}

/* Remove what fires at this price, adding it to `taken` as (sign x stop, accepted_seq, order), in no order. */
void take_trailing(Engine *engine, Market *market, u32 side, i64 price_ticks, Buffer *taken) {
    Trailing *trailing = &market->trailing[side];
    const i64 reached = sign_of(side) * price_ticks;
    while (trailing->fronts && segment_at(engine, trailing->fronts)->by_front.key >= reached) {
        const u32 slot = trailing->fronts;
        Segment *segment = segment_at(engine, slot);
        u32 left = 0;
        take_out(engine, slot);
        while (segment->root) {
            const u32 order_slot = segment->root;
            Terms *terms = terms_at(engine, order_at(engine, order_slot)->terms);
            const i64 key = stop_key(side, segment->best_ticks, terms->trailing_bips);
            if (key < reached) break;
            segment_of(engine, terms); /* points at this one itself */
            leave_trailing(engine, slot, order_slot);
            *(Taken *)(void *)buffer_add(engine, taken, sizeof(Taken)) =
                (Taken){key, terms->accepted_seq, order_at(engine, order_slot)->order_id, order_slot};
            left++;
        }
        if (segment->root) put_in(engine, slot);
        while (left--) leave_segment(engine, slot);
    }
}
