/* Cancel one order by id or client id, or all orders of an account. Passes in every market state.

   A cancel of one order may be restricted to one that is NEW, or to one that is PARTIALLY_FILLED (CancelFlag). */
#include "engine.h"

/* The account's open order that all of order_id, client id and market fit, as far as they are given; its slot or 0. */
u32 find_order(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id) {
    u32 slot;
    if (order_id) {
        slot = find_order_id(engine, order_id);
    } else {
        u8 key[KEY_SIZE];
        key_of(key, account_id, client_id);
        slot = find_owner(engine, hash_of_key(engine, key), key);
        if (slot & (CLOSED | LISTED)) slot = 0;
    }
    if (!slot) return 0;
    const Order *order = order_at(engine, slot);
    const Seat *seat = seat_of(engine, order);
    if (seat->account->account_id != account_id) return 0;
    if (client_id[0] && memcmp(order->client_id, client_id, CLIENT_ID_SIZE)) return 0;
    if (market_id && seat->market->market_id != market_id) return 0;
    return slot;
}

/* Whether the open order has another status than the one flag asks for. Parked for review, or pending in a list, it is
   PENDING_NEW, which is neither. */
static bool is_restricted(const Engine *engine, const Order *order, u32 flags) {
    const u32 waiting = waiting_of(engine, order);
    if (waiting == WAITING_PARKED || waiting == WAITING_PENDING) return true;
    return (filled_lots(engine, order) > 0) == (flags == CANCEL_FLAG_ONLY_NEW);
}

/* Cancel the order that another one is to replace, or say why not; whether it was cancelled. */
bool replace_named(Engine *engine, const ReplaceOrderFrame *frame) {
    const u32 slot = find_order(engine, frame->market_id, frame->account_id, frame->order_id, frame->client_id);
    u32 reason = REASON_NONE;
    if (!slot)
        reason = REASON_UNKNOWN_ORDER;
    else if (block_of(engine, order_at(engine, slot)))
        reason = REASON_BLOCK_UNCHANGEABLE;
    else if (frame->flags && is_restricted(engine, order_at(engine, slot), frame->flags))
        reason = REASON_CANCEL_RESTRICTED;
    if (reason) {
        event_cancel_rejected(engine, frame->market_id, frame->account_id, frame->order_id, frame->client_id,
                              frame->cancel_client_id, reason);
        return false;
    }
    end_resting(engine, slot, ORDER_STATUS_CANCELED, REASON_CANCELED_BY_USER, frame->cancel_client_id);
    return true;
}

/* By order_id, or by client id where order_id is 0. Market, order_id and client id, where given, must all fit. */
void cancel_order(Engine *engine, const u8 *bytes) {
    const CancelOrderFrame *frame = (const void *)bytes;
    const u8 *client_id = frame->client_id, *cancel_client_id = frame->cancel_client_id;
    u32 reason = REASON_MALFORMED;
    if (!is_text(client_id, CLIENT_ID_SIZE) || !is_text(cancel_client_id, CLIENT_ID_SIZE)) {
        client_id = cancel_client_id = NO_CLIENT_ID;
    } else if (frame->parts == 1 && HAS_BIT(RESTRICTIONS, frame->flags) && (frame->order_id || client_id[0])) {
        const u32 slot = find_order(engine, frame->market_id, frame->account_id, frame->order_id, client_id);
        if (slot && !(frame->flags && is_restricted(engine, order_at(engine, slot), frame->flags))) {
            end_resting(engine, slot, ORDER_STATUS_CANCELED, REASON_CANCELED_BY_USER, cancel_client_id);
            return;
        }
        reason = slot ? REASON_CANCEL_RESTRICTED : REASON_UNKNOWN_ORDER;
    }
    event_cancel_rejected(engine, frame->market_id, frame->account_id, frame->order_id, client_id, cancel_client_id,
                          reason);
}

/* All orders of the account in one market, or in every market where market_id is 0, by ascending order_id. */
void cancel_all(Engine *engine, const u8 *bytes) {
    const CancelAllFrame *frame = (const void *)bytes;
    Market *market = frame->market_id ? find_market(engine, frame->market_id) : NULL;
    u32 reason = REASON_NONE;
    if (frame->parts != 1 || frame->flags)
        reason = REASON_MALFORMED;
    else if (frame->market_id && !market)
        reason = REASON_UNKNOWN_MARKET;
    if (reason) {
        event_cancel_rejected(engine, frame->market_id, frame->account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, reason);
        return;
    }
    Account *account = find_account(engine, frame->account_id);
    u64 count = 0;
    if (account) {
        u32 *slots = sorted_orders(engine, account, market, &count);
        end_all(engine, slots, count, ORDER_STATUS_CANCELED, REASON_CANCELED_BY_USER);
        memory_give(engine, slots, (count + 1) * sizeof *slots);
    }
    event_all_canceled(engine, frame->market_id, frame->account_id, (u32)count);
}
