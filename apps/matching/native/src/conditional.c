/* The conditional orders of a market that wait for a print; what triggers is found in O(log n) (T5, matching-rules 5).

   STOP_LOSS sell and TAKE_PROFIT buy trigger when last <= stop, STOP_LOSS buy and TAKE_PROFIT sell when last >= stop. A
   trailing order becomes active by the same rule with its activation price, and is one of trailing.c from then on.

   Layout
       For each direction a heap by key, which is the stop price for a fall and minus the stop price for a rise, ties by
       accepted_seq. Between `trigger_low` and `trigger_high` of the market a print can change nothing here: it costs two
       comparisons. */
#include "engine.h"

#include <stdlib.h>

static bool is_stop_loss(u32 kind) { return kind == ORDER_KIND_STOP_LOSS || kind == ORDER_KIND_STOP_LOSS_LIMIT; }

/* Whether it triggers, or becomes active, when the price falls to its stop price; else when it rises to it. */
static bool falls_to(const Order *order) { return is_stop_loss(order->kind) == (order->side == SIDE_SELL); }

/* Whether the stop price is met at this last price. An order without one, which trails, has met it. */
bool is_met(const Order *order, i64 stop_price_ticks, i64 price_ticks) {
    if (!stop_price_ticks) return true;
    return falls_to(order) ? price_ticks <= stop_price_ticks : price_ticks >= stop_price_ticks;
}

/* Whether a print at this price would trigger this order, which waits for one. Of an active trailing one the stop as it is
   now says so: a print beyond its best only moves the stop away. */
bool triggers_at(Engine *engine, const Order *order, i64 price_ticks) {
    Terms *terms = terms_at(engine, order->terms);
    if (!terms->trailing_bips) return is_met(order, terms->stop_price_ticks, price_ticks);
    const i64 key = order->side == SIDE_SELL ? price_ticks : -price_ticks;
    return terms->segment && stop_key(order->side, best_of(engine, terms), terms->trailing_bips) >= key;
}

/* The nearest prices at which anything happens: a trigger, an activation, a new best price. */
static void look_around(Engine *engine, Market *market) {
    const Trailing *sells = &market->trailing[SIDE_SELL], *buys = &market->trailing[SIDE_BUY];
    i64 low = 0, high = INT64_MAX;
    if (market->fall) low = terms_at(engine, order_at(engine, market->fall)->terms)->stop_price_ticks;
    if (market->rise) high = terms_at(engine, order_at(engine, market->rise)->terms)->stop_price_ticks;
    if (sells->fronts) {
        const i64 front = segment_at(engine, sells->fronts)->by_front.key;
        const i64 best = -segment_at(engine, sells->bests)->by_best.key;
        if (front > low) low = front;
        if (best + 1 < high) high = best + 1;
    }
    if (buys->fronts) {
        const i64 front = -segment_at(engine, buys->fronts)->by_front.key;
        const i64 best = segment_at(engine, buys->bests)->by_best.key;
        if (front < high) high = front;
        if (best - 1 > low) low = best - 1;
    }
    market->trigger_low = low;
    market->trigger_high = high;
}

/* `best_ticks` is that of an active trailing order, 0 for every other one. */
static void add_conditional(Engine *engine, u32 slot, i64 best_ticks) {
    const Order *order = order_at(engine, slot);
    const Terms *terms = terms_at(engine, order->terms);
    Market *market = market_of(engine, order);
    if (best_ticks)
        add_trailing(engine, slot, best_ticks);
    else if (falls_to(order))
        heap_add(engine, HEAP_OF_ORDERS, &market->fall, slot, terms->stop_price_ticks, terms->accepted_seq);
    else
        heap_add(engine, HEAP_OF_ORDERS, &market->rise, slot, -terms->stop_price_ticks, terms->accepted_seq);
}

/* The open order waits for a print; `best_ticks` as above. */
void await_trigger(Engine *engine, u32 slot, i64 best_ticks) {
    const Order *order = order_at(engine, slot);
    terms_at(engine, order->terms)->waiting = WAITING_CONDITIONAL;
    seat_of(engine, order)->conditional_orders++;
    add_conditional(engine, slot, best_ticks);
    look_around(engine, market_of(engine, order));
}

/* Out of the place where it waits for a print or for its turn. */
void stop_waiting(Engine *engine, u32 slot) {
    const Order *order = order_at(engine, slot);
    const Terms *terms = terms_at(engine, order->terms);
    Market *market = market_of(engine, order);
    if (terms->waiting == WAITING_CONDITIONAL) {
        if (terms->segment)
            remove_trailing(engine, slot);
        else
            heap_remove(engine, HEAP_OF_ORDERS, falls_to(order) ? &market->fall : &market->rise, slot);
        seat_of(engine, order)->conditional_orders--;
        look_around(engine, market);
    } else if (terms->waiting == WAITING_TRIGGERED && terms->queued_seq) {
        leave_queue(engine, slot); /* the print that triggers it may end it before it has joined */
    }
}

/* Remove what a heap has of at least that key: to `taken` what triggers, while trailing orders become active. */
static void take_met(Engine *engine, u32 *root, i64 least_key, i64 price_ticks, Buffer *taken) {
    while (*root) {
        const u32 slot = *root;
        const Terms *terms = terms_at(engine, order_at(engine, slot)->terms);
        const i64 key = terms->link.key;
        if (key < least_key) return;
        heap_remove(engine, HEAP_OF_ORDERS, root, slot);
        if (terms->trailing_bips)
            add_trailing(engine, slot, price_ticks);
        else
            *(Taken *)(void *)buffer_add(engine, taken, sizeof(Taken)) =
                (Taken){key, terms->accepted_seq, order_at(engine, slot)->order_id, slot};
    }
}

static int compare_taken(const void *left, const void *right) {
    const Taken *one = left, *other = right;
    if (one->key != other->key) return one->key > other->key ? -1 : 1;
    return one->accepted_seq < other->accepted_seq ? -1 : one->accepted_seq > other->accepted_seq;
}

static void sort_taken(Buffer *taken, size_t from) {
    const size_t count = (taken->size - from) / sizeof(Taken);
    if (count > 1) qsort(taken->data + from, count, sizeof(Taken), compare_taken);
}

/* A print: remove what it triggers into engine->taken, in the order in which these take their turns; the keys of a rise
   become stop prices. On a fall by descending stop price, on a rise ascending, ties by creation. Best prices follow, and
   what the print activates begins to trail. */
void take_conditional(Engine *engine, Market *market, i64 price_ticks) {
    Buffer *taken = &engine->taken;
    taken->size = 0;
    follow_price(engine, market, SIDE_SELL, price_ticks);
    follow_price(engine, market, SIDE_BUY, price_ticks);
    take_met(engine, &market->fall, price_ticks, price_ticks, taken);
    take_trailing(engine, market, SIDE_SELL, price_ticks, taken);
    sort_taken(taken, 0);
    const size_t rises = taken->size;
    take_met(engine, &market->rise, -price_ticks, price_ticks, taken);
    take_trailing(engine, market, SIDE_BUY, price_ticks, taken);
    sort_taken(taken, rises);
    for (size_t at = rises; at < taken->size; at += sizeof(Taken)) {
        Taken *each = (Taken *)(void *)(taken->data + at);
        each->key = -each->key;
    }
    look_around(engine, market);
}
