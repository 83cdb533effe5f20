/* The pending part of an OTO or OTOCO takes its turn: the working order has filled whole (matching-rules 5).

   It is checked like a triggered order, and only now it needs its funds: filters and band, limits, funds, would match, would
   trigger. Where one of its orders fails, all of it ends EXPIRED with that reason. */
#include "engine.h"

/* The first step at which one of them fails, in the order of work of an incoming order. */
static u32 pending_fault(Engine *engine, Incoming *legs, u32 count) {
    u32 reason = REASON_NONE;
    for (u32 leg = 0; leg < count; leg++)
        if (has_expired(engine, legs[leg].order)) return REASON_EXPIRED_BY_TIME;
    for (u32 leg = 0; leg < count; leg++)
        if ((reason = rules_of_kind(legs[leg].order->kind)->fault(engine, &legs[leg]))) return reason;
    u32 conditional = 0;
    for (u32 leg = 0; leg < count; leg++) conditional += is_conditional(legs[leg].order);
    if ((reason = conditional_orders_fault(legs[0].seat, conditional))) return reason;
    const Order *first = legs[0].order;
    i128 wanted = need_of_legs(legs, count);
    if (first->kind == ORDER_KIND_MARKET && first->side == SIDE_BUY)
        wanted = would_print(engine, &legs[0], NO_LIMIT(SIDE_BUY), 0).quote_units;
    if (pays_with(engine, first)->available_units < wanted) return REASON_INSUFFICIENT_BALANCE;
    for (u32 leg = 0; leg < count; leg++)
        if ((reason = at_once_fault(engine, &legs[leg]))) return reason;
    return REASON_NONE;
}

static void refuse_pending(Engine *engine, u32 list_slot, const Incoming *legs, u32 count, u32 reason) {
    OrderList *list = list_at(engine, list_slot);
    const u64 first_id = legs[0].order->order_id;
    for (u32 leg = 0; leg < count; leg++) {
        const Order *order = legs[leg].order;
        forget_order(engine, legs[leg].slot);
        event_closed(engine, order, ORDER_STATUS_EXPIRED, reason, filled_lots(engine, order), NULL, 0, 0);
    }
    for (u32 place = 0; place < list->count; place++)
        if (list->order_ids[place] != first_id) list->legs[place] = 0;
    for (u32 leg = 0; leg < count; leg++) free_order(engine, legs[leg].slot);
    leave_list(engine, list_slot, first_id, ORDER_STATUS_EXPIRED, reason);
}

void enter_pending(Engine *engine, u32 list_slot) {
    OrderList *list = list_at(engine, list_slot);
    Incoming legs[3] = {0}; /* the compiler does not see that one is pending at least */
    u32 count = 0;
    u64 seq = 0;
    for (u32 place = 0; place < list->count; place++) {
        if (!list->legs[place]) continue;
        legs[count] = incoming_of(engine, list->legs[place]);
        Terms *terms = terms_at(engine, legs[count++].order->terms);
        if (terms->queued_seq) seq = terms->queued_seq;
        terms->waiting = 0;
        terms->queued_seq = seq; /* both were open before */
    }
    if (!count) fail(engine, NBP_INVARIANT_BROKEN, "a list without open orders takes its turn");
    const u32 reason = pending_fault(engine, legs, count);
    if (reason) {
        refuse_pending(engine, list_slot, legs, count, reason);
        return;
    }
    list->stage = LIST_STAGE_ENTERED;
    hold(engine, pays_with(engine, legs[0].order), need_of_legs(legs, count));
    for (u32 leg = 0; leg < count; leg++) {
        const Order *order = legs[leg].order;
        if (is_conditional(order) && order->side == SIDE_BUY && !order->price_ticks)
            terms_at(engine, order->terms)->hold_units = need_of_leg(&legs[leg]);
        event_pending_entered(engine, order, list->order_ids[0], is_conditional(order));
    }
    if (legs[0].order->kind == ORDER_KIND_MARKET)
        enter_unheld(engine, &legs[0]);
    else
        enter_legs(engine, legs, count);
}
