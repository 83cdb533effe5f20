/* The FIFO of triggered orders is emptied (matching-rules 5).

   It happens at the end of the command that filled it, or that brings the market back to OPEN. What one order triggers in
   turn joins the back, so a cascade is a loop and no recursion; as each order triggers once, it ends. In every state but
   OPEN the FIFO stands still. */
#include "engine.h"

/* The order is checked again like a new one, and goes on as what it has become; refused, it expires. */
static void take_turn(Engine *engine, u32 slot) {
    Order *order = order_at(engine, slot);
    Incoming incoming = incoming_of(engine, slot);
    const KindRules *rules = rules_of_kind(becomes(order->kind));
    terms_at(engine, order->terms)->waiting = 0;
    const u32 reason = has_expired(engine, order) ? REASON_EXPIRED_BY_TIME : rules->fault(engine, &incoming);
    if (!reason) {
        rules->enter(engine, &incoming);
        return;
    }
    forget_order(engine, slot);
    release_for(engine, order);
    event_closed(engine, order, ORDER_STATUS_EXPIRED, reason, filled_lots(engine, order), NULL, 0, 0);
    leave_list(engine, list_of(engine, order), order->order_id, ORDER_STATUS_EXPIRED, reason);
    free_order(engine, slot);
}

/* Each order of the FIFO in turn, as long as the market is open. */
void run_triggered(Engine *engine, Market *market) {
    while (market->queue_first && market->state == MARKET_STATE_OPEN) {
        const u32 slot = market->queue_first;
        leave_queue(engine, slot);
        const u32 list = list_of(engine, order_at(engine, slot));
        if (list && holds_nothing(list_at(engine, list), order_at(engine, slot)->order_id))
            enter_pending(engine, list);
        else
            take_turn(engine, slot);
    }
}
