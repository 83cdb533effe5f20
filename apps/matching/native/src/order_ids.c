/* From an order's id to its slot.

   Layout
       Ids are dense. The newest 2^18 stand in a ring of slots, found without a search; an order that is still open when
       its place is needed moves on into a table. */
#include "engine.h"

#define WINDOW (1u << 18)

static u64 hash_of_order_id(u64 order_id) { return mixed(order_id); }

static bool is_in_window(const Engine *engine, u64 order_id) { return engine->last_order_id - order_id < WINDOW; }

u64 take_order_id(Engine *engine) {
    u64 order_id = ++engine->last_order_id;
    u32 *place = &engine->order_window[order_id & (WINDOW - 1)];
    if (UNLIKELY(*place)) {
        table_insert(engine, &engine->order_ids, hash_of_order_id(order_id - WINDOW), *place);
        *place = 0;
    }
    return order_id;
}

u32 find_order_id(Engine *engine, u64 order_id) {
    if (LIKELY(is_in_window(engine, order_id))) return engine->order_window[order_id & (WINDOW - 1)];
    Probe probe = table_probe(&engine->order_ids, hash_of_order_id(order_id));
    for (u32 slot; (slot = probe_next(&probe));)
        if (order_at(engine, slot)->order_id == order_id) return slot;
    return 0;
}

void put_order_id(Engine *engine, u64 order_id, u32 slot) {
    if (is_in_window(engine, order_id))
        engine->order_window[order_id & (WINDOW - 1)] = slot;
    else
        table_insert(engine, &engine->order_ids, hash_of_order_id(order_id), slot);
}

void drop_order_id(Engine *engine, u64 order_id, u32 slot) {
    if (is_in_window(engine, order_id))
        engine->order_window[order_id & (WINDOW - 1)] = 0;
    else
        table_remove(engine, &engine->order_ids, hash_of_order_id(order_id), slot);
}
