/* The full structural check: everything that must hold between two commands, recomputed from scratch (invariants.py).

   What is cheap is checked on every command, where it happens (funds.c, limit.c, sweep.c, engine.c). On top of the plain
   engine's rules stand those of this engine's own structures: trees, tables, links, places in the heap. */
#include "engine.h"

__attribute__((format(printf, 3, 4))) static void require(Engine *engine, bool holds, const char *rule, ...) {
    if (LIKELY(holds)) return;
    char text[sizeof engine->error.text];
    va_list values;
    va_start(values, rule);
    vsnprintf(text, sizeof text, rule, values);
    va_end(values);
    fail(engine, NBP_INVARIANT_BROKEN, "%s", text);
}

typedef unsigned long long Long;

static void check_terms(Engine *engine, const Order *order) {
    static const Terms no_terms;
    const Terms *terms = order->terms ? terms_at(engine, order->terms) : &no_terms;
    const Long id = order->order_id;
    require(engine, filled_lots(engine, order) >= 0 && terms->prevented_lots >= 0, "order %llu: lots do not add up", id);
    require(engine, !terms->placed_lots || terms->placed_lots > order->quantity_lots,
            "order %llu: an amended order did not become smaller", id);
    require(engine, terms->amends <= (terms->placed_lots ? terms->placed_lots - order->quantity_lots : 0),
            "order %llu: amended more often than by a lot each time", id);
    if (terms->display_lots) {
        require(engine, terms->waiting || order->left_lots <= terms->display_lots,
                "order %llu: an iceberg shows more than its display", id);
        require(engine, terms->reserve_lots >= 0, "order %llu: an iceberg's reserve is below nothing", id);
    } else {
        require(engine, !terms->reserve_lots, "order %llu: a reserve without a display", id);
    }
    require(engine, (terms->expires_ms > 0) == (order->time_in_force == TIME_IN_FORCE_GTD),
            "order %llu: only GTD has an end in time", id);
    require(engine, !terms->expires_ms || (terms->accepted_seq && terms->accepted_seq <= engine->seq),
            "order %llu: accepted in the future", id);
    require(engine, (terms->expires_ms > 0 || terms->parked_seq) == (terms->timer_place > 0), "order %llu: its timer", id);
}

/* Every order of a level; how many there are. */
static u64 check_level(Engine *engine, const Market *market, const BookSide *side, u64 index, const Level *level) {
    const i64 price_ticks = price_at(side, index);
    const unsigned market_id = market->market_id;
    const long long price = price_ticks;
    i64 lots = 0, hidden = 0;
    u64 count = 0, priority = 0;
    u32 before = 0;
    require(engine, level->head, "market %u, level %lld: is empty", market_id, price);
    for (u32 slot = level->head; slot; slot = order_at(engine, slot)->next) {
        const Order *order = order_at(engine, slot);
        require(engine, order->prev == before, "market %u, level %lld: links are broken", market_id, price);
        require(engine, !before || priority < order->priority, "market %u, level %lld: not first come first served",
                market_id, price);
        require(engine, order->priority <= engine->seq, "market %u, level %lld: a place from the future", market_id, price);
        require(engine, market_of(engine, order) == market && order->side == side->side,
                "market %u, level %lld: order of another market or side", market_id, price);
        require(engine, order->price_ticks == price_ticks, "market %u, level %lld: order of another price", market_id,
                price);
        require(engine, order->left_lots > 0 && order->left_lots <= order->quantity_lots,
                "market %u, level %lld: order without lots", market_id, price);
        require(engine, order->order_id && order->order_id <= engine->last_order_id,
                "market %u, level %lld: an order_id from the future", market_id, price);
        require(engine, find_order_id(engine, order->order_id) == slot, "order %llu is not found by its id",
                (Long)order->order_id);
        check_terms(engine, order);
        require(engine, !waiting_of(engine, order), "order %llu waits in a book", (Long)order->order_id);
        priority = order->priority;
        lots += order->left_lots;
        hidden += reserve_of(engine, order);
        before = slot;
        count++;
    }
    require(engine, level->tail == before, "market %u, level %lld: tail is not the last order", market_id, price);
    require(engine, level->lots == lots, "market %u, level %lld: level has %lld lots, its orders %lld", market_id, price,
            (long long)level->lots, (long long)lots);
    require(engine, hidden_lots(engine, side_of((Market *)market, side->side), index) == hidden,
            "market %u, level %lld: hides other lots than its orders", market_id, price);
    return count;
}

/* What the books have of their pools. */
typedef struct Nodes {
    u64 inner, leaves, hidden;
} Nodes;

/* The levels of a subtree in order; how many there are. Counts nodes and leaves into `found`. */
static u64 check_tree(Engine *engine, const BookSide *side, u32 slot, u64 prefix, u32 shift, Nodes *found,
                      u64 *first) {
    const InnerNode *node = node_at(engine, slot);
    u64 levels = 0;
    found->inner++;
    require(engine, node->open || slot == side->root, "a book has an empty node");
    for (u32 place = 0; place < FAN; place++) {
        if (!(node->open >> place & 1)) continue;
        const u64 index = prefix | (u64)place << shift;
        if (shift >= FINGER_BITS) {
            levels += check_tree(engine, side, node->children[place], index, shift - FAN_BITS, found, first);
            continue;
        }
        const Leaf *leaf = leaf_at(engine, node->children[place]);
        found->leaves++;
        found->hidden += leaf->hidden != 0;
        require(engine, leaf->open && leaf->open < 1u << RUN, "a book has an empty leaf");
        for (u32 at = 0; at < RUN; at++) {
            const Level *level = &leaf->levels[at];
            if (leaf->open >> at & 1) {
                if (*first == NO_INDEX) *first = index | at;
                levels++;
            } else {
                require(engine, !level->head && !level->tail && !level->lots, "a closed level has orders");
                require(engine, !leaf->hidden || !hidden_at(engine, leaf->hidden)->lots[at], "a closed level hides lots");
            }
        }
    }
    return levels;
}

/* The queues of a window know its furthest prices, its sums are those of its buckets. */
static void check_window(Engine *engine, const Market *market, Window *window) {
    const unsigned market_id = market->market_id, rule_id = window->rule.rule_id;
    i128 value = 0, lots = 0;
    i64 low = window->before ? window->before : NO_PRICE, high = window->before;
    for (u32 at = 0; at < window->count; at++) {
        const Bucket *bucket = bucket_at(window, at);
        require(engine, !at || bucket_at(window, at - 1)->k < bucket->k, "market %u, breaker %u: buckets out of order",
                market_id, rule_id);
        require(engine, (i128)bucket->k * window->len_ms <= engine->now_ms, "market %u, breaker %u: a bucket from the future",
                market_id, rule_id);
        value += bucket->value;
        lots += bucket->lots;
        if (is_vwap(window)) continue;
        require(engine, 0 < bucket->low && bucket->low <= bucket->last && bucket->last <= bucket->high,
                "market %u, breaker %u: a bucket's prices", market_id, rule_id);
        if (bucket->low < low) low = bucket->low;
        if (bucket->high > high) high = bucket->high;
    }
    require(engine, value == window->value && lots == window->lots, "market %u, breaker %u: sums do not add up", market_id,
            rule_id);
    require(engine, is_vwap(window) || (low == window_low(window) && high == window_high(window)),
            "market %u, breaker %u: the queues do not know the furthest price", market_id, rule_id);
}

static void check_halts(Engine *engine, Market *market) {
    const u64 *begun_ms = (const u64 *)(const void *)market->halts.data;
    const unsigned market_id = market->market_id;
    const size_t count = market->halts.size / sizeof *begun_ms;
    require(engine, (market->until_ms > 0) == (market->timer_seq > 0), "market %u: a state's end without its timer", market_id);
    for (size_t at = 0; at < count; at++)
        require(engine, begun_ms[at] <= engine->now_ms && (!at || begun_ms[at - 1] <= begun_ms[at]),
                "market %u: breaker halts out of order", market_id);
    const bool in_auction = market->state == MARKET_STATE_AUCTION;
    const AuctionPrice found = in_auction ? auction_price(engine, market) : (AuctionPrice){0, 0};
    require(engine, market->auction.price_ticks == found.price_ticks && market->auction.lots == found.lots,
            "market %u: another auction price was told", market_id);
    require(engine, in_auction || !market->extensions, "market %u: extensions without an auction", market_id);
    require(engine, market->breaker.count == market->settings.breaker_count && !market->breaker.tripped,
            "market %u: its breakers", market_id);
    for (u32 at = 0; at < market->breaker.count; at++) {
        Window *window = window_of(engine, &market->breaker, at);
        require(engine, !memcmp(&window->rule, &market->settings.breaker_rules[at], sizeof window->rule),
                "market %u: the breakers are not those of the settings", market_id);
        check_window(engine, market, window);
    }
}

static u64 check_book(Engine *engine, Market *market, Nodes *found) {
    u64 orders = 0;
    for (u32 which = 0; which < 2; which++) {
        BookSide *side = side_of(market, which);
        u64 first = NO_INDEX, levels = 0, walked = 0;
        if (side->root) levels = check_tree(engine, side, side->root, 0, side->bits - FAN_BITS, found, &first);
        require(engine, levels == side->level_count, "market %u: levels are miscounted", market->market_id);
        require(engine, first == side->best, "market %u: the best level is not the first one", market->market_id);
        for (u64 index = side->best; index != NO_INDEX; index = index_after(engine, side, index), walked++)
            orders += check_level(engine, market, side, index, level_at(engine, side, index));
        require(engine, walked == levels, "market %u: a level is not found in order", market->market_id);
    }
    check_halts(engine, market);
    if (HAS_BIT(UNCROSSED, market->state))
        require(engine, !is_crossed(market), "market %u: crossed book", market->market_id);
    return orders;
}

/* The shares of a block order are its lots, none is a lot ahead, and all are of the family. */
static void check_shares(Engine *engine, const Order *order, u32 slot) {
    const BlockOrder *block = block_at(engine, slot);
    const Long id = order->order_id;
    i128 final = 0, open = 0;
    for (u32 at = 0; at < block->count; at++) {
        const Share *share = &block->shares[at];
        const Seat *seat = seat_at(engine, share->seat);
        require(engine, share->final_lots > 0 && share->allocated_lots >= 0 && share->allocated_lots <= share->final_lots,
                "order %llu: a share got more than it may have", id);
        require(engine, seat->account->family_id == account_of(engine, order)->family_id,
                "order %llu: a share outside the family", id);
        require(engine, seat->market == market_of(engine, order), "order %llu: a share has a foreign seat", id);
        const i128 ahead = (i128)share->allocated_lots * order->quantity_lots -
                           (i128)share->final_lots * (order->quantity_lots - open_lots(engine, order));
        require(engine, ahead < order->quantity_lots, "order %llu: a share is a lot ahead", id);
        final += share->final_lots;
        open += share->final_lots - share->allocated_lots;
    }
    require(engine, final == order->quantity_lots, "order %llu: the shares of a block order are not its quantity", id);
    require(engine, open == open_lots(engine, order), "order %llu: shares miss lots", id);
}

static void check_parked(Engine *engine, const Order *order, const Terms *terms) {
    const Long id = order->order_id;
    require(engine, order->kind == ORDER_KIND_LIMIT, "order %llu, which waits: is no order that may be parked", id);
    require(engine, terms->parked_seq && terms->parked_seq <= engine->seq, "order %llu: parked in the future", id);
    require(engine, terms->park_due_ms && (!terms->expires_ms || terms->park_due_ms <= (u64)terms->expires_ms),
            "order %llu, which waits: is parked beyond its end", id);
}

/* A member of a heap knows the one above it, comes after it, and has its rank by its children. */
static void check_link(Engine *engine, HeapKind kind, u32 slot, u32 root) {
    const HeapLink *link = link_at(engine, kind, slot);
    require(engine, (link->up == 0) == (slot == root), "a heap has lost a member");
    if (link->up) {
        const HeapLink *above = link_at(engine, kind, link->up);
        require(engine, above->left == slot || above->right == slot, "a heap's links are broken");
        require(engine, !comes_first(link, above), "a heap is out of order");
    }
    require(engine, rank_of(engine, kind, link->left) >= rank_of(engine, kind, link->right) &&
                        link->rank == rank_of(engine, kind, link->right) + 1, "a heap is out of balance");
}

static void check_conditional(Engine *engine, const Order *order, Terms *terms, u32 slot) {
    Market *market = market_of(engine, order);
    const Long id = order->order_id;
    require(engine, HAS_BIT(CONDITIONAL_KINDS, order->kind), "order %llu: a plain order waits for a print", id);
    u32 root = falls_to(order) ? market->fall : market->rise;
    i64 key = falls_to(order) ? terms->stop_price_ticks : -terms->stop_price_ticks;
    if (terms->segment) {
        const Segment *segment = segment_at(engine, segment_of(engine, terms));
        require(engine, segment->market == market && segment->side == order->side, "order %llu: a foreign segment", id);
        require(engine, find_segment(engine, market, order->side, segment->best_ticks) == terms->segment,
                "order %llu: its segment is not found by its best price", id);
        root = segment->root;
        key = -(i64)terms->trailing_bips;
    }
    require(engine, terms->link.key == key && terms->link.tie == terms->accepted_seq, "order %llu: is not in place", id);
    check_link(engine, HEAP_OF_ORDERS, slot, root);
    while (terms_at(engine, order_at(engine, slot)->terms)->link.up)
        slot = terms_at(engine, order_at(engine, slot)->terms)->link.up;
    require(engine, slot == root, "order %llu: stands in another heap", id);
}

/* An open order that stands in no book. */
static void check_waiting(Engine *engine, const Order *order, u32 slot) {
    Terms *terms = terms_at(engine, order->terms);
    const Long id = order->order_id;
    check_terms(engine, order);
    require(engine, !order->prev && !order->next, "order %llu, which waits: has a place in a book", id);
    require(engine, order->left_lots == order->quantity_lots && !order->filled_quote_units,
            "order %llu, which waits: has traded", id);
    require(engine, (terms->queued_seq > 0) == (terms->waiting == WAITING_TRIGGERED),
            "order %llu, which waits: is queued or is not", id);
    require(engine, terms->queued_seq <= engine->seq, "order %llu, which waits: queued in the future", id);
    if (terms->waiting == WAITING_PARKED)
        check_parked(engine, order, terms);
    else if (terms->waiting == WAITING_CONDITIONAL)
        check_conditional(engine, order, terms, slot);
    else if (terms->waiting == WAITING_PENDING)
        require(engine, terms->list, "order %llu is pending in no list", id);
    else
        require(engine, terms->waiting == WAITING_TRIGGERED, "order %llu, which waits: for nothing known", id);
}

/* The FIFO is in order and empty while the market is open; nothing waits that should have triggered. How many stand in it. */
static u64 check_triggers(Engine *engine, Market *market) {
    const u32 market_id = market->market_id;
    u64 count = 0, before_seq = 0;
    u32 before = 0;
    for (u32 slot = market->queue_first; slot; slot = terms_at(engine, order_at(engine, slot)->terms)->queue_next) {
        const Terms *terms = terms_at(engine, order_at(engine, slot)->terms);
        require(engine, terms->waiting == WAITING_TRIGGERED && terms->queue_prev == before && terms->queued_seq > before_seq,
                "market %u: the FIFO is not that of the triggered orders", market_id);
        before = slot;
        before_seq = terms->queued_seq;
        count++;
    }
    require(engine, market->queue_last == before, "market %u: the FIFO's end is not its last order", market_id);
    require(engine, market->state != MARKET_STATE_OPEN || !count, "market %u: the FIFO is not empty although it is open",
            market_id);
    const i64 low = market->trigger_low, high = market->trigger_high, last = market->last_price_ticks;
    look_around(engine, market);
    require(engine, low == market->trigger_low && high == market->trigger_high, "market %u: the nearest triggers are others",
            market_id);
    require(engine, !last || (low < last && last < high), "market %u: something should have triggered", market_id);
    return count;
}

/* Each segment is counted by who points at it, and stands in both heaps of its side while it has orders. */
static void check_segments(Engine *engine) {
    u64 pointers = 0, alive = 0, expected = 0;
    for (u32 slot = 1; slot < engine->segments.used; slot++) {
        const Segment *segment = segment_at(engine, slot);
        if (!segment->pointers) continue;
        alive++;
        pointers += segment->pointers;
        expected += segment->joined != 0;
        if (segment->joined) continue;
        const Trailing *trailing = &segment->market->trailing[segment->side];
        check_link(engine, HEAP_OF_BESTS, slot, trailing->bests);
        check_link(engine, HEAP_OF_FRONTS, slot, trailing->fronts);
        const Terms *first = terms_at(engine, order_at(engine, segment->root)->terms);
        require(engine, segment->by_front.key == stop_key(segment->side, segment->best_ticks, first->trailing_bips),
                "a segment does not know its first stop");
    }
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next)
            if (order_at(engine, at)->terms) expected += terms_at(engine, order_at(engine, at)->terms)->segment != 0;
    require(engine, alive == engine->segments.live && pointers == expected, "segments of trailing stops are miscounted");
}

/* The best price of the account's own orders of a side that have not expired, 0 without one. */
static i64 best_of_seat(Engine *engine, const Seat *seat, u32 side) {
    i64 best = 0;
    for (u32 slot = seat->first_order; slot; slot = order_at(engine, slot)->seat_next) {
        const Order *order = order_at(engine, slot);
        if (order->side != side || waiting_of(engine, order) || has_expired(engine, order)) continue;
        if (!best || within(side ^ 1, order->price_ticks, best)) best = order->price_ticks;
    }
    return best;
}

/* Nobody of the seat's family would pair with it in an auction. Families are small. */
static void check_apart(Engine *engine, const Seat *seat, u64 other_id) {
    const Seat *other = find_seat(engine, other_id, seat->market->market_id);
    if (!other || other->account->family_id != seat->account->family_id) return;
    const i64 bid = best_of_seat(engine, seat, SIDE_BUY), ask = best_of_seat(engine, other, SIDE_SELL);
    require(engine, !bid || !ask || bid < ask, "market %u: family %llu faces itself", seat->market->market_id,
            (Long)seat->account->family_id);
}

/* Who is in whose family, and that none of them would pair with itself in an auction. */
static void check_families(Engine *engine) {
    u64 members = 0;
    for (u32 slot = 1; slot < engine->accounts.used; slot++) {
        const Account *account = account_at(engine, slot);
        const u64 family_id = account->family_id;
        u32 member = first_member(engine, family_id), found = 0;
        for (; member; member = member_at(engine, member)->next) found += member_at(engine, member)->account == slot;
        members += found;
        require(engine, found == (family_id != account->account_id), "the families are not those of the accounts");
        for (u32 at = account->first_seat; at; at = seat_at(engine, at)->next) {
            const Seat *seat = seat_at(engine, at);
            if (!is_crossed(seat->market) || !best_of_seat(engine, seat, SIDE_BUY)) continue;
            check_apart(engine, seat, family_id);
            for (member = first_member(engine, family_id); member; member = member_at(engine, member)->next)
                check_apart(engine, seat, account_at(engine, member_at(engine, member)->account)->account_id);
        }
    }
    require(engine, members == engine->members.live, "a family has a lost member");
}

/* Each seat's list holds its own orders; how many of all seats stand in a book. */
static u64 check_seats(Engine *engine) {
    u64 orders = 0, waiting = 0, triggered = 0;
    for (u32 slot = 1; slot < engine->seats.used; slot++) {
        Seat *seat = seat_at(engine, slot);
        const Long account_id = seat->account->account_id;
        u32 before = 0, count = 0, icebergs = 0, conditional = 0;
        require(engine, find_seat(engine, seat->account->account_id, seat->market->market_id) == seat,
                "a seat of account %llu is not found", account_id);
        require(engine, seat->base == balance_of(engine, seat->account, seat->market->base_asset->asset_id) &&
                            seat->quote == balance_of(engine, seat->account, seat->market->quote_asset->asset_id),
                "account %llu moves foreign money", account_id);
        for (u32 at = seat->first_order; at; at = order_at(engine, at)->seat_next) {
            const Order *order = order_at(engine, at);
            require(engine, order->seat == slot && order->seat_prev == before,
                    "order %llu stands at another account", (Long)order->order_id);
            require(engine, find_order_id(engine, order->order_id) == at, "order %llu is not found by its id",
                    (Long)order->order_id);
            if (block_of(engine, order)) check_shares(engine, order, block_of(engine, order));
            if (waiting_of(engine, order)) {
                check_waiting(engine, order, at);
                conditional += waiting_of(engine, order) == WAITING_CONDITIONAL;
                triggered += waiting_of(engine, order) == WAITING_TRIGGERED;
                waiting++;
            }
            icebergs += order->terms && terms_at(engine, order->terms)->display_lots;
            before = at;
            count++;
        }
        require(engine, conditional == seat->conditional_orders, "account %llu: conditional orders are miscounted",
                account_id);
        require(engine, icebergs == seat->iceberg_orders, "account %llu: icebergs are miscounted", account_id);
        require(engine, count == seat->open_orders, "account %llu: open orders are miscounted", account_id);
        orders += count;
    }
    require(engine, orders == engine->open_orders, "open orders are miscounted");
    for (u32 place = 0; place < engine->market_count; place++) triggered -= check_triggers(engine, engine->markets[place]);
    require(engine, !triggered, "a triggered order stands outside the FIFO");
    check_segments(engine);
    return orders - waiting;
}

/* What the order holds, by balance. */
static void add_needs(Engine *engine, const Order *order, i128 *need) {
    const u32 slot = block_of(engine, order), list = list_of(engine, order);
    if (list) {
        const u32 sibling = sibling_of(list_at(engine, list), order->order_id);
        i128 units = holds_nothing(list_at(engine, list), order->order_id) ? 0 : need_units(engine, order);
        if (sibling) { /* once for both */
            const Order *other = order_at(engine, sibling);
            const i64 one = need_of_whole(engine, order), both = need_of_whole(engine, other);
            units = order->order_id < other->order_id ? (one > both ? one : both) : 0;
        }
        need[pays_with(engine, order)->check_place] += units;
        return;
    }
    if (!slot) {
        need[pays_with(engine, order)->check_place] += need_units(engine, order);
        return;
    }
    const BlockOrder *block = block_at(engine, slot);
    for (u32 at = 0; at < block->count; at++) {
        const Share *share = &block->shares[at];
        need[paid_by(order, seat_at(engine, share->seat))->check_place] +=
            (i128)(share->final_lots - share->allocated_lots) * hold_per_lot(engine, order);
    }
}

/* held == what open orders and keyed holds need; what is inside == what came in. Sums stand in scratch, by balance and by
   asset, and are taken apart again. */
static void check_money(Engine *engine) {
    engine->scratch.size = 0;
    i128 *need = (i128 *)(void *)buffer_add(engine, &engine->scratch, (engine->balances.used + 1) * sizeof *need);
    memset(need, 0, (engine->balances.used + 1) * sizeof *need);
    for (u32 slot = 1; slot < engine->balances.used; slot++) balance_at(engine, slot)->check_place = slot;
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next) {
            const Order *order = order_at(engine, at);
            add_needs(engine, order, need);
        }
    for (u32 slot = 1; slot < engine->holds.used; slot++) {
        const KeyedHold *held = hold_at(engine, slot);
        if (!held->amount_units) continue;
        u32 found;
        require(engine, held->amount_units > 0 && find_hold(engine, held->key, &found) == held, "a hold is not found");
        Account *account = find_account(engine, held->account_id);
        require(engine, account != NULL, "a hold without its account");
        const u32 before = engine->balances.used;
        const Balance *balance = balance_of(engine, account, held->asset_id);
        require(engine, engine->balances.used == before, "something is held by an account without that balance");
        need[balance->check_place] += held->amount_units;
    }
    for (u32 place = 0; place < engine->asset_count; place++) engine->assets[place]->check_units = 0;
    for (u32 slot = 1; slot < engine->balances.used; slot++) {
        const Balance *balance = balance_at(engine, slot);
        const Long account_id = balance->account->account_id;
        Asset *asset = find_asset(engine, balance->asset_id);
        require(engine, asset != NULL, "account %llu, asset %u: unknown asset", account_id, balance->asset_id);
        require(engine, balance->available_units >= 0 && balance->held_units >= 0, "account %llu, asset %u: negative",
                account_id, balance->asset_id);
        require(engine, balance->held_units == need[slot], "account %llu, asset %u: %lld held, %lld needed", account_id,
                balance->asset_id, (long long)balance->held_units, (long long)need[slot]);
        asset->check_units += (i128)balance->available_units + balance->held_units;
    }
    for (u32 place = 0; place < engine->asset_count; place++) {
        const Asset *asset = engine->assets[place];
        require(engine, asset->fee_units >= 0, "asset %u: negative fees", asset->asset_id);
        require(engine, asset->external_units <= AMOUNT_MAX, "asset %u: above 2^62", asset->asset_id);
        require(engine, asset->check_units + asset->fee_units == asset->external_units,
                "asset %u: accounts and fees have another sum than came in", asset->asset_id);
    }
}

/* Each list has its orders, at its seat, in the stage that fits them; how many lists with a client id there are. */
static u64 check_lists(Engine *engine) {
    u64 named = 0, alive = 0;
    for (u32 slot = 1; slot < engine->lists.used; slot++) {
        const OrderList *list = list_at(engine, slot);
        if (!list->count) continue;
        const Long id = list->order_ids[0];
        const u32 open = open_legs(list);
        alive++;
        seat_at(engine, list->seat)->order_lists--; /* put back below */
        require(engine, open && !list->is_done && !list->depth, "list %llu: without an order", id);
        for (u32 leg = 0; leg < list->count; leg++) {
            if (!list->legs[leg]) continue;
            const Order *order = order_at(engine, list->legs[leg]);
            require(engine, order->order_id == list->order_ids[leg] && list_of(engine, order) == slot &&
                                order->seat == list->seat && find_order_id(engine, order->order_id) == list->legs[leg],
                    "list %llu: a foreign order", id);
            const u32 waiting = waiting_of(engine, order);
            require(engine, !holds_nothing(list, order->order_id) || waiting == WAITING_PENDING || waiting == WAITING_TRIGGERED,
                    "list %llu: a pending order does not wait", id);
            require(engine, waiting != WAITING_PENDING || holds_nothing(list, order->order_id),
                    "list %llu: an order is pending for nothing", id);
            require(engine, !sibling_of(list, order->order_id) || open_lots(engine, order) == order->quantity_lots,
                    "list %llu: both legs go on", id);
        }
        if (list->kind == LIST_KIND_OCO)
            require(engine, list->stage == LIST_STAGE_ENTERED, "list %llu: an OCO with a working order", id);
        else if (list->stage == LIST_STAGE_WORKING)
            require(engine, open == list->count, "list %llu: pending without its working order", id);
        else
            require(engine, !list->legs[0], "list %llu: the working order is still there", id);
        if (!list->client_id[0]) continue;
        u8 key[KEY_SIZE];
        list_key_of(key, seat_at(engine, list->seat)->account->account_id, list->client_id);
        require(engine, !memcmp(key, list->id_key, KEY_SIZE), "list %llu: its key is not that of its client id", id);
        require(engine, find_owner(engine, hash_of_key(engine, key), key) == (LISTED | slot),
                "list %llu does not own its client id", id);
        named++;
    }
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        require(engine, !seat_at(engine, slot)->order_lists, "order lists are miscounted");
    for (u32 slot = 1; slot < engine->lists.used; slot++)
        if (list_at(engine, slot)->count) seat_at(engine, list_at(engine, slot)->seat)->order_lists++;
    require(engine, alive == engine->lists.live, "an order list is lost");
    return named;
}

/* Every record and every open order with an id is found under its key; the table has no more than the owners. */
static void check_client_ids(Engine *engine) {
    const ClientIds *ids = &engine->client_ids;
    const u64 places = (u64)ids->capacity + 1;
    u64 owners = check_lists(engine);
    require(engine, ids->count <= ids->capacity, "the ring of client ids is too long");
    for (u64 at = 0; at < ids->count; at++) {
        const u32 place = (u32)((ids->oldest + at) % places);
        const u8 *key = closed_id_at(engine, place)->id_key;
        const u32 owner = find_owner(engine, hash_of_key(engine, key), key);
        require(engine, owner != 0, "a closed client id has no owner");
        if (owner == (CLOSED | place)) {
            owners++;
        } else if (owner & CLOSED) {
            const u64 other = ((owner & ~CLOSED) + places - ids->oldest) % places;
            require(engine, other > at && other < ids->count, "an older record owns a client id");
        }
    }
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next) {
            const Order *order = order_at(engine, at);
            if (!order->client_id[0]) continue;
            u8 key[KEY_SIZE];
            key_of(key, account_of(engine, order)->account_id, order->client_id);
            require(engine, !memcmp(key, order->id_key, KEY_SIZE), "order %llu: its key is not that of its client id",
                    (Long)order->order_id);
            require(engine, find_owner(engine, hash_of_key(engine, key), key) == at,
                    "order %llu does not own its client id", (Long)order->order_id);
            owners++;
        }
    require(engine, owners == ids->owners.count, "the owners of client ids are not the open orders and the ring");
}

/* The heap holds each order with an end and each account with a timer, once, and the first is the first. */
static void check_timers(Engine *engine) {
    u32 wanted = 0;
    for (u32 place = 1; place <= engine->timer_count; place++) {
        const Timer *timer = timer_at(engine, place);
        require(engine, *timer_place_of(engine, timer->subject, timer->slot) == place, "a timer does not know its place");
        require(engine, timer->seq <= engine->seq, "a timer from the future");
        require(engine, place == 1 || !is_earlier(timer, timer_at(engine, place / 2)), "the timers are no heap");
        if (timer->subject == TIMER_ORDER) {
            const Terms *terms = terms_at(engine, order_at(engine, timer->slot)->terms);
            const i64 due_ms = terms->parked_seq ? (i64)terms->park_due_ms : terms->expires_ms;
            require(engine, timer->due_ms == due_ms && timer->seq == (terms->parked_seq ? terms->parked_seq : terms->accepted_seq),
                    "a timer is not that of its order");
        } else if (timer->subject == TIMER_MARKET) {
            const Market *market = pool_at(&engine->markets_pool, timer->slot);
            require(engine, (u64)timer->due_ms == market->until_ms && timer->seq == market->timer_seq,
                    "a timer is not that of its market");
        } else {
            const Account *account = account_at(engine, timer->slot);
            require(engine, (u64)timer->due_ms == account->cancel_due_ms && timer->seq == account->cancel_timer_seq,
                    "a timer is not that of its account");
        }
    }
    for (u32 slot = 1; slot < engine->accounts.used; slot++) wanted += account_at(engine, slot)->cancel_timer_seq != 0;
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next)
            if (order_at(engine, at)->terms) {
                const Terms *terms = terms_at(engine, order_at(engine, at)->terms);
                wanted += terms->expires_ms || terms->parked_seq;
            }
    for (u32 place = 0; place < engine->market_count; place++) wanted += engine->markets[place]->timer_seq != 0;
    require(engine, wanted == engine->timer_count, "the timers are not those of the open orders, accounts and markets");
    require(engine, engine->due_ms == first_due(engine),
            "the next timer is not the first one");
}

/* Nothing is taken from a pool or a table that nobody has. */
static void check_pools(Engine *engine, const Nodes *found) {
    u64 window = 0, terms = 0, blocks = 0, rules = 0, auctions = 0;
    for (u32 place = 0; place < WINDOW; place++) window += engine->order_window[place] != 0;
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next)
            if (order_at(engine, at)->terms) {
                const u32 block = block_of(engine, order_at(engine, at));
                terms++;
                if (!block) continue;
                blocks++;
                for (u32 place = 0; place < block_at(engine, block)->count; place++)
                    seat_at(engine, block_at(engine, block)->shares[place].seat)->account->check_shares++;
            }
    for (u32 slot = 1; slot < engine->accounts.used; slot++) {
        Account *account = account_at(engine, slot);
        require(engine, account->open_shares == account->check_shares, "the shares of open block orders are miscounted");
        account->check_shares = 0;
        for (u32 rule = account->first_rule; rule; rule = rule_at(engine, rule)->next) rules++;
    }
    require(engine, engine->blocks.live == blocks && engine->rules.live == rules, "a block order or a rule is lost");
    require(engine, engine->orders.live == engine->open_orders, "an order's slot is lost");
    require(engine, window + engine->order_ids.count == engine->open_orders, "an order's id is lost");
    require(engine, engine->terms.live == terms, "terms are lost");
    for (u32 place = 0; place < engine->market_count; place++)
        auctions += engine->markets[place]->state == MARKET_STATE_AUCTION;
    require(engine, auctions == engine->auctions, "the auctions are miscounted");
    require(engine, engine->inner_nodes.live == found->inner && engine->leaves.live == found->leaves &&
                        engine->hidden_runs.live == found->hidden, "a book's node is lost");
    require(engine, engine->account_ids.count == engine->accounts.live && engine->seat_ids.count == engine->seats.live &&
                        engine->balance_ids.count == engine->balances.live &&
                        engine->hold_keys.count == engine->holds.live,
            "a table and its pool differ");
}

void validate(Engine *engine) {
    u64 booked = 0;
    Nodes found = {0, 0, 0};
    for (u32 place = 0; place < engine->market_count; place++)
        booked += check_book(engine, engine->markets[place], &found);
    const u64 seated = check_seats(engine);
    check_families(engine);
    require(engine, booked == seated, "the accounts' open orders and the books differ");
    check_money(engine);
    check_client_ids(engine);
    check_timers(engine);
    check_pools(engine, &found);
}
