/* Evaluating conditional orders after a print: what it triggers joins the market's FIFO (T5, matching-rules 5).

   Nothing runs here. An order takes its turn when the incoming order has rested or ended (triggered.c). */
#include "engine.h"

/* To the back of the FIFO; `seq` is that of the event that says so. */
void join_queue(Engine *engine, u32 slot, u64 seq) {
    const Order *order = order_at(engine, slot);
    Terms *terms = terms_at(engine, order->terms);
    Market *market = market_of(engine, order);
    terms->waiting = WAITING_TRIGGERED;
    terms->queued_seq = seq;
    terms->queue_next = 0;
    terms->queue_prev = market->queue_last;
    if (market->queue_last)
        terms_at(engine, order_at(engine, market->queue_last)->terms)->queue_next = slot;
    else
        market->queue_first = slot;
    market->queue_last = slot;
}

void leave_queue(Engine *engine, u32 slot) {
    const Order *order = order_at(engine, slot);
    Terms *terms = terms_at(engine, order->terms);
    Market *market = market_of(engine, order);
    if (terms->queue_prev)
        terms_at(engine, order_at(engine, terms->queue_prev)->terms)->queue_next = terms->queue_next;
    else
        market->queue_first = terms->queue_next;
    if (terms->queue_next)
        terms_at(engine, order_at(engine, terms->queue_next)->terms)->queue_prev = terms->queue_prev;
    else
        market->queue_last = terms->queue_prev;
    terms->queue_prev = terms->queue_next = 0;
}

/* After a print at this price, the market's last one. A second call at the same price changes nothing.

   All that it triggers has left the structure before the first event says so; an order that another one's trigger ends is
   passed by. */
void evaluate(Engine *engine, Market *market, i64 price_ticks) {
    if (market->trigger_low < price_ticks && price_ticks < market->trigger_high) return;
    take_conditional(engine, market, price_ticks);
    const size_t size = engine->taken.size;
    for (size_t at = 0; at < size; at += sizeof(Taken)) {
        const Taken *each = (const Taken *)(const void *)(engine->taken.data + at);
        const Order *order = order_at(engine, each->slot);
        terms_at(engine, order->terms)->waiting = WAITING_TRIGGERED;
        seat_of(engine, order)->conditional_orders--;
    }
    for (size_t at = 0; at < size; at += sizeof(Taken)) {
        const Taken *each = (const Taken *)(const void *)(engine->taken.data + at);
        const Order *order = order_at(engine, each->slot);
        if (order->order_id != each->order_id) continue;
        event_triggered(engine, order, each->key, price_ticks);
        join_queue(engine, each->slot, engine->seq);
        end_sibling(engine, list_of(engine, order), each->order_id);
    }
}
