/* Icebergs: only the tip is shown; used up, it is refilled from the reserve at the back of its level (T6).

   The incoming order trades with its whole quantity and shows nothing. What rests shows min(display, rest). A refill's
   place is that of its event: everything shown at the price trades before it. */
#include "engine.h"

/* The tip must be an order's size, and the parts must not be too many. */
u32 iceberg_fault(const Incoming *incoming) {
    if (!incoming->display_lots) return REASON_NONE;
    if (incoming->display_lots < incoming->seat->market->settings.min_lots) return REASON_LOT_SIZE;
    if ((i128)incoming->display_lots * ICEBERG_PARTS_MAX < incoming->order->quantity_lots) return REASON_ICEBERG_PARTS;
    return REASON_NONE;
}

/* The order comes to rest: what is above its display becomes the reserve. */
void hide_reserve(Engine *engine, Order *order) {
    if (!order->terms) return;
    Terms *terms = terms_at(engine, order->terms);
    if (terms->display_lots > 0 && terms->display_lots < order->left_lots) {
        terms->reserve_lots = order->left_lots - terms->display_lots;
        order->left_lots = terms->display_lots;
    }
}

/* The tip is used up: the next one goes to the back of the level, with the place of this event. */
void refill(Engine *engine, BookSide *side, Level *level, u32 slot) {
    Order *order = order_at(engine, slot);
    Terms *terms = terms_at(engine, order->terms);
    if (order->next) {
        if (order->prev)
            order_at(engine, order->prev)->next = order->next;
        else
            level->head = order->next;
        order_at(engine, order->next)->prev = order->prev;
        order_at(engine, level->tail)->next = slot;
        order->prev = level->tail;
        order->next = 0;
        level->tail = slot;
    }
    i64 tip = terms->display_lots < terms->reserve_lots ? terms->display_lots : terms->reserve_lots;
    order->left_lots = tip;
    terms->reserve_lots -= tip;
    level->lots += tip;
    hide_lots(engine, side, order->price_ticks, -tip);
    event_iceberg_refilled(engine, order, level->lots);
    order->priority = engine->seq;
}
