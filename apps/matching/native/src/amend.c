/* Amend an order's quantity down; it keeps its place (T4, matching-rules 3, 9 and 10).

   What goes is taken from an iceberg's reserve first, then from what shows. The order's client id stays, and a repeat of
   the order as it was placed is still answered with it. */
#include "engine.h"

/* filled < new < current, counting what prevented matches took as gone too; and the market's filters. */
static u32 amend_fault(Engine *engine, const Order *order, i64 quantity_lots) {
    const Passes *row = &PASSES[market_of(engine, order)->state];
    if (!row->amend) return row->refusal;
    if (block_of(engine, order)) return REASON_BLOCK_UNCHANGEABLE;
    if (list_of(engine, order)) return REASON_LIST_UNCHANGEABLE;
    if (waiting_of(engine, order)) return REASON_NOT_AMENDABLE;
    i64 gone = order->quantity_lots - open_lots(engine, order);
    if (quantity_lots <= gone || quantity_lots >= order->quantity_lots) return REASON_AMEND_QUANTITY;
    u32 reason = amends_fault(engine, order);
    return reason ? reason : smaller_fault(engine, order, quantity_lots);
}

static void shrink(Engine *engine, Order *order, i64 quantity_lots, const u8 *amend_client_id) {
    Terms *terms = terms_of(engine, order);
    BookSide *side = side_of(market_of(engine, order), order->side);
    Level *level = level_at(engine, side, index_of(side, order->price_ticks));
    i64 old_lots = order->quantity_lots, less = old_lots - quantity_lots;
    if (!terms->placed_lots) terms->placed_lots = old_lots;
    if (terms->amends < AMENDS_MAX) terms->amends++;
    order->quantity_lots = quantity_lots;
    release_lots(engine, order, less);
    i64 from_reserve = less < terms->reserve_lots ? less : terms->reserve_lots;
    terms->reserve_lots -= from_reserve;
    if (from_reserve) hide_lots(engine, side, order->price_ticks, -from_reserve);
    order->left_lots -= less - from_reserve;
    level->lots -= less - from_reserve;
    event_amended(engine, order, old_lots, level->lots, amend_client_id);
}

/* By order_id, or by client id where order_id is 0, to a smaller quantity_lots. */
void amend_order(Engine *engine, const u8 *bytes) {
    const AmendOrderFrame *frame = (const void *)bytes;
    const u8 *client_id = frame->client_id, *amend_client_id = frame->amend_client_id;
    u32 reason = REASON_MALFORMED;
    if (!is_text(client_id, CLIENT_ID_SIZE) || !is_text(amend_client_id, CLIENT_ID_SIZE)) {
        client_id = amend_client_id = NO_CLIENT_ID;
    } else if (frame->parts == 1 && !frame->flags && frame->quantity_lots > 0 && (frame->order_id || client_id[0])) {
        u32 slot = find_order(engine, frame->market_id, frame->account_id, frame->order_id, client_id);
        reason = slot ? amend_fault(engine, order_at(engine, slot), frame->quantity_lots) : REASON_UNKNOWN_ORDER;
        if (!reason) {
            shrink(engine, order_at(engine, slot), frame->quantity_lots, amend_client_id);
            return;
        }
    }
    event_amend_rejected(engine, frame->market_id, frame->account_id, frame->order_id, client_id, amend_client_id,
                         reason);
}
