/* An open order stands at its seat, under its id and, with a client id, as that id's owner; in its book, or it waits.
   Only here.

   With an end in time it also has a timer, which goes with it. A slot is given back after the last event that reads it:
   forget_order and withdraw_order take the order out of everything, free_order ends it. */
#include "engine.h"

#include <stdlib.h>

u32 new_order(Engine *engine, const Order *order) {
    u32 slot = pool_take_raw(engine, &engine->orders);
    *order_at(engine, slot) = *order;
    return slot;
}

static void free_terms(Engine *engine, Order *order) {
    const u32 block = terms_at(engine, order->terms)->block;
    if (block) pool_give(&engine->blocks, block);
    pool_give(&engine->terms, order->terms);
    order->terms = 0;
}

void free_order(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    if (UNLIKELY(order->terms)) free_terms(engine, order);
    order->order_id = 0;
    pool_give(&engine->orders, slot);
}

/* Out of the pool: what an incoming order that has ended had there. */
void drop_incoming(Engine *engine, Incoming *incoming) {
    if (incoming->slot) {
        free_order(engine, incoming->slot);
    } else if (incoming->order->terms) {
        free_terms(engine, incoming->order);
    }
}

static void enter_seat(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    Seat *seat = seat_of(engine, order);
    order->seat_prev = 0;
    order->seat_next = seat->first_order;
    if (seat->first_order) order_at(engine, seat->first_order)->seat_prev = slot;
    seat->first_order = slot;
    seat->open_orders++;
    seat->market->open_orders++;
    engine->open_orders++;
    put_order_id(engine, order->order_id, slot);
}

static void leave_seat(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    Seat *seat = seat_of(engine, order);
    if (order->seat_prev)
        order_at(engine, order->seat_prev)->seat_next = order->seat_next;
    else
        seat->first_order = order->seat_next;
    if (order->seat_next) order_at(engine, order->seat_next)->seat_prev = order->seat_prev;
    seat->open_orders--;
    seat->market->open_orders--;
    engine->open_orders--;
    drop_order_id(engine, order->order_id, slot);
}

static void count_shares(Engine *engine, u32 slot, i32 more) {
    const BlockOrder *block = block_at(engine, slot);
    for (u32 at = 0; at < block->count; at++)
        seat_at(engine, block->shares[at].seat)->account->open_shares += (u32)more;
}

void start_terms(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    if (!order->terms) return;
    const Terms *terms = terms_at(engine, order->terms);
    if (terms->parked_seq)
        add_timer(engine, (i64)terms->park_due_ms, terms->parked_seq, TIMER_ORDER, slot);
    else if (terms->expires_ms)
        add_timer(engine, terms->expires_ms, terms->accepted_seq, TIMER_ORDER, slot);
    if (terms->display_lots) seat_of(engine, order)->iceberg_orders++;
    if (terms->block) count_shares(engine, terms->block, 1);
}

/* The opposite of start_terms. */
static void stop_terms(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    if (LIKELY(!order->terms)) return;
    const Terms *terms = terms_at(engine, order->terms);
    if (terms->timer_place) stop_timer(engine, TIMER_ORDER, slot);
    if (terms->display_lots) seat_of(engine, order)->iceberg_orders--;
    if (terms->block) count_shares(engine, terms->block, -1);
}

i64 rest_order(Engine *engine, u32 slot, u64 id_hash) {
    Order *order = order_at(engine, slot);
    enter_seat(engine, slot);
    if (order->client_id[0]) own_client_id(engine, id_hash, slot);
    return book_add(engine, side_of(market_of(engine, order), order->side), slot);
}

void wait_order(Engine *engine, u32 slot, u64 id_hash) {
    enter_seat(engine, slot);
    if (order_at(engine, slot)->client_id[0]) own_client_id(engine, id_hash, slot);
}

/* Out of everything but its level. */
void forget_order(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    leave_seat(engine, slot);
    if (order->client_id[0]) remember(engine, slot, order, fingerprint_of(engine, order));
    stop_terms(engine, slot);
}

i64 withdraw_order(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    i64 level_lots = book_remove(engine, side_of(market_of(engine, order), order->side), slot);
    forget_order(engine, slot);
    return level_lots;
}

/* One that waited for its turn was open until now. */
void leave_at_entry(Engine *engine, Incoming *incoming) {
    const Order *order = incoming->order;
    if (order->terms && terms_at(engine, order->terms)->queued_seq)
        forget_order(engine, incoming->slot);
    else
        remember_incoming(engine, incoming);
}

Incoming recall_order(Engine *engine, u32 slot) {
    Terms *terms = terms_at(engine, order_at(engine, slot)->terms);
    leave_seat(engine, slot);
    stop_terms(engine, slot);
    terms->waiting = 0;
    terms->park_due_ms = terms->parked_seq = 0;
    return incoming_of(engine, slot);
}

Incoming incoming_of(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    const Terms *terms = terms_at(engine, order->terms);
    return (Incoming){
        .order = order,
        .slot = slot,
        .seat = seat_of(engine, order),
        .display_lots = terms->display_lots,
        .expires_ms = terms->expires_ms,
        .stop_price_ticks = terms->stop_price_ticks,
        .trailing_bips = terms->trailing_bips,
        .id_hash = order->client_id[0] ? hash_of_key(engine, order->id_key) : 0,
    };
}

/* It ends other than by being filled: it leaves its book or the place where it waits, gives back its hold, and one event
   says so. */
void end_order(Engine *engine, u32 slot, u32 status, u32 reason, const u8 *cancel_client_id) {
    Order *order = order_at(engine, slot);
    const bool waits = waiting_of(engine, order) != 0;
    i64 level_lots = 0;
    if (UNLIKELY(waits)) {
        stop_waiting(engine, slot);
        forget_order(engine, slot);
    } else {
        level_lots = withdraw_order(engine, slot);
    }
    release_for(engine, order);
    event_closed(engine, order, status, reason, filled_lots(engine, order), cancel_client_id,
                 waits ? 0 : CLOSED_FLAG_WAS_RESTING, level_lots);
    free_order(engine, slot);
}

/* With it ends what depends on it. */
void end_resting(Engine *engine, u32 slot, u32 status, u32 reason, const u8 *cancel_client_id) {
    const Order *order = order_at(engine, slot);
    const u32 list = list_of(engine, order);
    const u64 order_id = order->order_id;
    end_order(engine, slot, status, reason, cancel_client_id);
    leave_list(engine, list, order_id, status, reason);
}

void end_all(Engine *engine, const u32 *slots, u64 count, u32 status, u32 reason) {
    for (u64 at = 0; at < count; at++)
        if (order_at(engine, slots[at])->order_id) end_resting(engine, slots[at], status, reason, NULL);
}

typedef struct IdAndSlot {
    u64 id;
    u32 slot;
} IdAndSlot;

static int compare_ids(const void *left, const void *right) {
    u64 a = ((const IdAndSlot *)left)->id, b = ((const IdAndSlot *)right)->id;
    return a < b ? -1 : a > b;
}

static void collect_seat(Engine *engine, const Seat *seat, IdAndSlot *found, u64 *count) {
    for (u32 slot = seat->first_order; slot; slot = order_at(engine, slot)->seat_next)
        found[(*count)++] = (IdAndSlot){order_at(engine, slot)->order_id, slot};
}

/* The caller gives the list back with memory_give(engine, list, (count + 1) * sizeof(u32)). */
u32 *sorted_orders(Engine *engine, Account *account, Market *market, u64 *count) {
    u64 room = engine->open_orders + 1;
    if (account) {
        room = 1;
        for (u32 slot = account->first_seat; slot; slot = seat_at(engine, slot)->next)
            room += seat_at(engine, slot)->open_orders;
    }
    IdAndSlot *found = memory_take(engine, room * sizeof *found);
    *count = 0;
    if (account) {
        for (u32 slot = account->first_seat; slot; slot = seat_at(engine, slot)->next)
            if (!market || seat_at(engine, slot)->market == market)
                collect_seat(engine, seat_at(engine, slot), found, count);
    } else {
        for (u32 slot = 1; slot < engine->seats.used; slot++)
            if (!market || seat_at(engine, slot)->market == market)
                collect_seat(engine, seat_at(engine, slot), found, count);
    }
    qsort(found, *count, sizeof *found, compare_ids);
    u32 *slots = memory_take(engine, (*count + 1) * sizeof *slots);
    for (u64 at = 0; at < *count; at++) slots[at] = found[at].slot;
    memory_give(engine, found, room * sizeof *found);
    return slots;
}
