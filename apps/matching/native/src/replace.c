/* Cancel-replace: cancel one order and place another, in one command (T4, matching-rules 10).

   The new order's client id and its checks up to the price band come first; where they fail, nothing has happened. Then
   the cancel: where there is nothing to cancel, or its restriction forbids it, STOP_ON_FAILURE ends it and ALLOW_FAILURE goes on. Then the new order's
   limits and funds, with what was freed, and its sweep. */
#include "engine.h"

static u32 cancel_replaced(Engine *engine, Incoming *incoming, const void *context) {
    const ReplaceOrderFrame *frame = context;
    (void)incoming;
    return replace_named(engine, frame) || frame->mode == REPLACE_MODE_ALLOW_FAILURE ? REASON_NONE : ANSWERED;
}

void replace_order(Engine *engine, const u8 *bytes) {
    const ReplaceOrderFrame *frame = (const void *)bytes;
    const u8 *client_id = frame->client_id, *cancel_client_id = frame->cancel_client_id;
    const u8 *order = NULL;
    bool well_formed = find_orders(bytes, frame->parts, 1, &order) && HAS_BIT(RESTRICTIONS, frame->flags) && HAS_BIT(KNOWN_REPLACE_MODES, frame->mode) &&
                       (frame->order_id || memcmp(client_id, NO_CLIENT_ID, CLIENT_ID_SIZE));
    if (!is_text(client_id, CLIENT_ID_SIZE) || !is_text(cancel_client_id, CLIENT_ID_SIZE)) {
        client_id = cancel_client_id = NO_CLIENT_ID;
        well_formed = false;
    }
    if (well_formed && is_order_of(order, frame->market_id, frame->account_id))
        place_order(engine, order, NULL, cancel_replaced, frame, 0);
    else
        event_cancel_rejected(engine, frame->market_id, frame->account_id, frame->order_id, client_id,
                              cancel_client_id, REASON_MALFORMED);
}
