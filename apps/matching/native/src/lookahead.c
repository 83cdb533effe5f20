/* What the next commands will need is asked of memory while earlier ones are applied.

   A command's cost is mostly waiting for cache lines that only it needs: its account's seat, its order, the buckets of its
   ids. All of them can be told from the frame alone, some steps ahead. So a call's commands go through four rounds in
   blocks, each of which follows one link further, and each round is one block further ahead of the block that is applied.
   Keys of client ids are computed here too, four at a time.

   Nothing here changes the state or decides anything: an address that has become wrong by the time of its command costs a
   wait and no more. Whatever is followed is valid memory, because pools and tables never shrink. */
#include "engine.h"

static inline void ask_for(const void *address) { __builtin_prefetch(address); }

static inline void ask_for_order(const Engine *engine, u32 slot) {
    const Order *order = order_at(engine, slot);
    ask_for(order);
    ask_for(&order->priority);
}

static inline void ask_for_bucket(const Table *table, u64 hash) {
    const u64 *home = &table_segment(table, hash)->buckets[hash >> 32 & (SEGMENT_ROOM - 1)];
    ask_for(home);
    ask_for(home + 4); /* a search often goes on into the next line */
}

/* What an order that ends will touch beside itself and its level. */
static inline void ask_for_ending(const Engine *engine, const Order *order) {
    if (is_in_window(engine, order->order_id)) ask_for(&engine->order_window[order->order_id & (WINDOW - 1)]);
    if (order->seat_next) ask_for(&order_at(engine, order->seat_next)->seat_prev);
    if (order->seat_prev) ask_for(order_at(engine, order->seat_prev));
    if (order->client_id[0]) ask_for_bucket(&engine->client_ids.owners, hash_of_key(engine, order->id_key));
}

/* First round: from the frame to buckets. */
static void look_at_frame(Engine *engine, Ahead *ahead) {
    const u8 *frame = ahead->frame;
    ahead->slot = ahead->other = 0;
    ahead->level = NULL;
    if (frame[1] == COMMAND_KIND_PLACE_ORDER) {
        const PlaceOrderFrame *order = (const void *)frame;
        ahead->hash = hash_of_seat(engine, order->account_id, order->market_id);
        ask_for_bucket(&engine->seat_ids, ahead->hash);
    } else if (frame[1] == COMMAND_KIND_CANCEL_ORDER) {
        const u64 order_id = ((const CancelOrderFrame *)(const void *)frame)->order_id;
        if (is_in_window(engine, order_id))
            ask_for(&engine->order_window[order_id & (WINDOW - 1)]);
        else
            ask_for_bucket(&engine->order_ids, hash_of_order_id(order_id));
    }
}

/* Keys of those that wait for one; what is missing to four is done twice. */
void take_keys(Engine *engine, Keyless *keyless) {
    if (!keyless->count) return;
    for (u32 at = keyless->count; at < KEYS_AT_ONCE; at++) keyless->commands[at] = keyless->commands[0];
    keys_of(engine, keyless->commands);
    for (u32 at = 0; at < keyless->count; at++) {
        Ahead *ahead = keyless->commands[at];
        ahead->id_hash = hash_of_key(engine, ahead->id_key);
        ask_for_bucket(&engine->client_ids.owners, ahead->id_hash);
        ask_for(table_segment(&engine->client_ids.owners, ahead->id_hash));
    }
    keyless->count = 0;
}

/* Keys of the block's new orders, four at a time; the last ones wait for the next block, but not longer. A frame whose
   client id is no text gets one too; nobody asks for it. */
static void look_at_client_ids(Engine *engine, Keyless *keyless, Ahead *block, u32 count) {
    const u32 carried = keyless->count;
    bool taken = false;
    for (u32 at = 0; at < count; at++) {
        const PlaceOrderFrame *order = (const void *)block[at].frame;
        if (order->kind != COMMAND_KIND_PLACE_ORDER || !order->client_id[0]) continue;
        keyless->commands[keyless->count++] = &block[at];
        if (keyless->count < KEYS_AT_ONCE) continue;
        take_keys(engine, keyless);
        taken = true;
    }
    if (carried && !taken) take_keys(engine, keyless);
}

/* Second round: from buckets to seats and orders. */
static void look_at_bucket(Engine *engine, Ahead *ahead) {
    const u8 *frame = ahead->frame;
    if (frame[1] == COMMAND_KIND_PLACE_ORDER) {
        Probe probe = table_probe(&engine->seat_ids, ahead->hash);
        if ((ahead->slot = probe_next(&probe))) ask_for(seat_at(engine, ahead->slot));
    } else if (frame[1] == COMMAND_KIND_CANCEL_ORDER) {
        const u64 order_id = ((const CancelOrderFrame *)(const void *)frame)->order_id;
        if (is_in_window(engine, order_id)) {
            ahead->slot = engine->order_window[order_id & (WINDOW - 1)];
        } else {
            Probe probe = table_probe(&engine->order_ids, hash_of_order_id(order_id));
            ahead->slot = probe_next(&probe);
        }
        if (ahead->slot) ask_for_order(engine, ahead->slot);
    }
}

/* Third round: from a seat to its money, and to the level where the order will stand or the order that it will meet; from
   an order to its seat, its level and whatever its end touches. */
static void look_at_subject(Engine *engine, Ahead *ahead) {
    if (!ahead->slot) return;
    if (ahead->frame[1] == COMMAND_KIND_PLACE_ORDER) {
        const PlaceOrderFrame *frame = (const void *)ahead->frame;
        const Seat *seat = seat_at(engine, ahead->slot);
        ask_for(seat->account);
        ask_for(seat->base);
        ask_for(seat->quote);
        if (seat->first_order) ask_for(&order_at(engine, seat->first_order)->seat_prev);
        const u32 own = frame->side & 1;
        BookSide *side = opposite(seat->market, own);
        if (side->best != NO_INDEX && (!frame->price_ticks || within(own, price_at(side, side->best), frame->price_ticks))) {
            ahead->other = level_at(engine, side, side->best)->head;
            if (ahead->other) ask_for_order(engine, ahead->other);
        } else {
            const Level *level = find_level(engine, side_of(seat->market, own), frame->price_ticks);
            if (level) ask_for(level);
            ahead->level = level;
        }
    } else {
        const Order *order = order_at(engine, ahead->slot);
        if (!order->seat) return;
        const Seat *seat = seat_at(engine, order->seat);
        ask_for(seat);
        if (order->prev) ask_for(order_at(engine, order->prev));
        if (order->next) ask_for(order_at(engine, order->next));
        ask_for_ending(engine, order);
        const Level *level = find_level(engine, side_of(seat->market, order->side), order->price_ticks);
        if (level) ask_for(level);
    }
}

/* Fourth round: to the money of whom an order gives it back or meets. */
static void look_at_money(Engine *engine, const Ahead *ahead) {
    if (!ahead->slot) return;
    if (ahead->frame[1] == COMMAND_KIND_PLACE_ORDER) {
        if (ahead->level && ahead->level->tail) ask_for(order_at(engine, ahead->level->tail));
        if (!ahead->other) return;
        const Order *maker = order_at(engine, ahead->other);
        if (!maker->seat) return;
        ask_for(seat_at(engine, maker->seat));
        ask_for_ending(engine, maker);
    } else {
        const Order *order = order_at(engine, ahead->slot);
        if (!order->seat) return;
        const Seat *seat = seat_at(engine, order->seat);
        ask_for(order->side == SIDE_BUY ? seat->quote : seat->base);
        ask_for(seat->account);
    }
}

/* One round over a block; the rounds count from 0. */
void look_ahead(Engine *engine, Block *block, u32 round, Keyless *keyless) {
    Ahead *each = block->commands;
    const u32 count = block->count;
    switch (round) {
        case 0:
            for (u32 at = 0; at < count; at++) look_at_frame(engine, &each[at]);
            look_at_client_ids(engine, keyless, each, count);
            break;
        case 1:
            for (u32 at = 0; at < count; at++) look_at_bucket(engine, &each[at]);
            break;
        case 2:
            for (u32 at = 0; at < count; at++) look_at_subject(engine, &each[at]);
            break;
        default:
            for (u32 at = 0; at < count; at++) look_at_money(engine, &each[at]);
    }
}
