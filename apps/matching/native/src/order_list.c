/* An order list: two or three orders of an account in a market that depend on one another (T4, matching-rules 5).

   OCO: two legs of one side; whatever happens to one first ends the other. OTO: the pending order waits, without a hold,
   until the working one has filled whole. OTOCO: the same, and the pending part is an OCO.

   Layout
       A list keeps the ids of its orders in the order of the command and, as long as they are open, their slots (`legs`).
       The legs of an OCO hold their funds once, the larger need. What one of them does not need is given back when the
       other one remains. A list goes with its last leg. */
#include "engine.h"

/* Number of legs of a kind, 0 for no kind. */
u32 legs_of_kind(u32 kind) { return kind == LIST_KIND_OCO || kind == LIST_KIND_OTO ? 2 : kind == LIST_KIND_OTOCO ? 3 : 0; }

static u32 place_of_leg(const OrderList *list, u64 order_id) {
    u32 place = 0;
    while (place < list->count && list->order_ids[place] != order_id) place++;
    return place;
}

u32 open_legs(const OrderList *list) {
    u32 open = 0;
    for (u32 place = 0; place < list->count; place++) open += list->legs[place] != 0;
    return open;
}

/* It is pending, or stands in the FIFO as a pending one. */
bool holds_nothing(const OrderList *list, u64 order_id) {
    return list->stage != LIST_STAGE_ENTERED && order_id != list->order_ids[0];
}

/* The other leg of an OCO, while both hold their funds; 0 where there is none. */
u32 sibling_of(const OrderList *list, u64 order_id) {
    if (list->stage != LIST_STAGE_ENTERED || open_legs(list) != 2) return 0;
    for (u32 place = 0; place < list->count; place++)
        if (list->legs[place] && list->order_ids[place] != order_id) return list->legs[place];
    return 0;
}

/* Units that the order needs for its whole quantity. Nothing of a leg fills before its sibling has ended. */
i64 need_of_whole(const Engine *engine, const Order *order) {
    if (order->terms && terms_at(engine, order->terms)->hold_units) return terms_at(engine, order->terms)->hold_units;
    return units_for(market_of(engine, order), order, order->quantity_lots);
}

/* What the two legs of an OCO hold together. */
static i64 shared_units(const Engine *engine, const Order *first, const Order *second) {
    const i64 one = need_of_whole(engine, first), other = need_of_whole(engine, second);
    return one > other ? one : other;
}

/* Whether it holds something else than its own need: it is pending, or a leg of an OCO whose sibling lives; then *units is
   what belongs to this order alone: nothing, or what the other leg will not need when it is gone. */
bool shares_hold(const Engine *engine, const Order *order, i64 *units) {
    const OrderList *list = list_at(engine, terms_at(engine, order->terms)->list);
    const u32 sibling = sibling_of(list, order->order_id);
    *units = 0;
    if (!sibling) return holds_nothing(list, order->order_id);
    *units = shared_units(engine, order, order_at(engine, sibling)) - need_of_whole(engine, order_at(engine, sibling));
    return true;
}

/* The list has no order any more. */
static void finish_list(Engine *engine, u32 slot) {
    OrderList *list = list_at(engine, slot);
    list->is_done = true;
    seat_at(engine, list->seat)->order_lists--;
    if (list->client_id[0]) {
        put_closed_id(engine, list->id_key, list->fingerprint, list->order_ids[0], LISTED | slot,
                      hash_of_key(engine, list->id_key));
    }
    event_list_changed(engine, list, LIST_STATUS_ALL_DONE);
}

/* A member has ended, and was told so. Filled whole, a working order brings what is pending to the FIFO; any other end ends
   the others, CANCELED after a cancel, else EXPIRED. Nothing for slot 0 and for a member that has left already. */
void leave_list(Engine *engine, u32 slot, u64 order_id, u32 status, u32 reason) {
    if (LIKELY(!slot)) return;
    OrderList *list = list_at(engine, slot);
    const u32 place = place_of_leg(list, order_id);
    if (place == list->count || !list->legs[place]) return;
    list->legs[place] = 0;
    if (status == ORDER_STATUS_FILLED && list->kind != LIST_KIND_OCO && place == 0) {
        list->stage = LIST_STAGE_QUEUED;
        event_list_changed(engine, list, LIST_STATUS_UPDATED);
        join_queue(engine, list->legs[1] ? list->legs[1] : list->legs[2], engine->seq);
        return;
    }
    list->depth++;
    for (u32 other = 0; other < list->count; other++) {
        if (!list->legs[other]) continue;
        if (status == ORDER_STATUS_CANCELED)
            end_resting(engine, list->legs[other], ORDER_STATUS_CANCELED, reason, NULL);
        else
            end_resting(engine, list->legs[other], ORDER_STATUS_EXPIRED, REASON_LIST_ENDED, NULL);
    }
    if (!open_legs(list) && !list->is_done) finish_list(engine, slot);
    if (!--list->depth && list->is_done) {
        list->count = 0;
        pool_give(&engine->lists, slot);
    }
}

/* A leg of an OCO has traded, lost lots to a prevented match, or triggered: the other one ends. */
void end_sibling(Engine *engine, u32 slot, u64 order_id) {
    if (LIKELY(!slot)) return;
    OrderList *list = list_at(engine, slot);
    const u32 sibling = sibling_of(list, order_id);
    if (!sibling) return;
    const u32 place = place_of_leg(list, order_at(engine, sibling)->order_id);
    end_order(engine, sibling, ORDER_STATUS_EXPIRED, REASON_LIST_ENDED, NULL);
    list->legs[place] = 0;
}
