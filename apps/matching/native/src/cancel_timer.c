/* Cancel-all-after, the dead man's switch: an account's orders are cancelled unless it is heard of in time (T4).

   One timer an account, over all markets. Setting it anew replaces it, 0 clears it, and it fires once. */
#include "engine.h"

static void stop_cancel_timer(Engine *engine, Account *account) {
    if (!account->cancel_timer_seq) return;
    account->cancel_due_ms = account->cancel_timer_seq = 0;
    stop_timer(engine, TIMER_ACCOUNT, account->slot);
}

void start_cancel_timer(Engine *engine, Account *account, u64 due_ms, u64 seq) {
    account->cancel_due_ms = due_ms;
    account->cancel_timer_seq = seq;
    add_timer(engine, (i64)due_ms, seq, TIMER_ACCOUNT, account->slot);
}

void set_cancel_timer(Engine *engine, const u8 *bytes) {
    const SetCancelTimerFrame *frame = (const void *)bytes;
    Account *account = find_account(engine, frame->account_id);
    u32 reason;
    if (frame->parts != 1 || frame->flags || frame->market_id || frame->timeout_ms > TIMEOUT_MS_MAX) {
        reason = REASON_MALFORMED;
    } else if (!account) {
        reason = REASON_UNKNOWN_ACCOUNT;
    } else {
        u64 due_ms = frame->timeout_ms ? engine->now_ms + frame->timeout_ms : 0;
        stop_cancel_timer(engine, account);
        event_cancel_timer_set(engine, account->account_id, due_ms, 0);
        if (due_ms) start_cancel_timer(engine, account, due_ms, engine->seq);
        return;
    }
    event_cancel_rejected(engine, frame->market_id, frame->account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, reason);
}

/* All orders of the account, by ascending order_id; then the event that says there is no timer any more. */
void fire_cancel_timer(Engine *engine, Account *account) {
    u64 count;
    u32 *slots = sorted_orders(engine, account, NULL, &count);
    end_all(engine, slots, count, ORDER_STATUS_CANCELED, REASON_CANCELED_BY_TIMER);
    memory_give(engine, slots, (count + 1) * sizeof *slots);
    stop_cancel_timer(engine, account);
    event_cancel_timer_set(engine, account->account_id, 0, TIMER_FLAG_FIRED);
}
