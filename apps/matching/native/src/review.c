/* REVIEW_ORDER: staff releases or rejects a parked order (T7, matching-rules 2).

   Released it is checked as new, but without the price band, and keeps the hold it has. A market state that takes no such
   order now refuses the command, and the order stays parked. Any other check that fails ends the order, EXPIRED with that
   reason. Rejected it ends REJECTED, in every market state. */
#include "engine.h"

static void release_parked(Engine *engine, u32 slot) {
    Incoming incoming = recall_order(engine, slot);
    u32 reason = limit_order_fault(engine, &incoming);
    if (!reason || reason == REASON_PERCENT_PRICE) reason = account_limits_fault(&incoming);
    if (!reason) {
        match_and_rest(engine, &incoming);
        return;
    }
    end_limit(engine, &incoming, ORDER_STATUS_EXPIRED, reason);
    drop_incoming(engine, &incoming);
}

u32 review_order(Engine *engine, const u8 *bytes) {
    const ReviewOrderFrame *frame = (const void *)bytes;
    if (frame->parts != 1 || frame->flags || !HAS_BIT(KNOWN_REVIEWS, frame->decision)) return REASON_MALFORMED;
    Market *market = find_market(engine, frame->market_id);
    if (!market) return REASON_UNKNOWN_MARKET;
    const u32 slot = frame->order_id ? find_order(engine, frame->market_id, frame->account_id, frame->order_id, NO_CLIENT_ID) : 0;
    if (!slot || !frame->market_id) return REASON_UNKNOWN_ORDER;
    Order *order = order_at(engine, slot);
    if (waiting_of(engine, order) != WAITING_PARKED) return REASON_NOT_PARKED;
    if (frame->decision == REVIEW_REJECT) {
        event_reviewed(engine, frame);
        end_resting(engine, slot, ORDER_STATUS_REJECTED, REASON_REJECTED_BY_STAFF, NULL);
        return REASON_NONE;
    }
    Incoming incoming = {.order = order, .slot = slot, .seat = seat_of(engine, order)};
    if (incoming.seat->market->state != MARKET_STATE_OPEN) {
        u32 refusal = entry_fault(engine, &incoming);
        if (refusal) return refusal;
    }
    event_reviewed(engine, frame);
    release_parked(engine, slot);
    if (market->queue_first) run_triggered(engine, market);
    return REASON_NONE;
}
