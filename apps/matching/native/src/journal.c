/* The events of the current call: numbered, with the command's id on them, packed one behind the other.

   One function an event; the records' fields come from apps/streams/events.py. Fields that are not set are 0. */
#include "engine.h"

static void *event_of(Engine *engine, u32 kind, u32 flags, u32 reason, u32 market_id, u64 account_id) {
    if (!WITH_EVENTS) { /* one after the other into the same place, unnumbered; the compiler drops what nobody reads */
        static u8 nowhere[EVENT_SIZE];
        engine->seq++;
        return nowhere;
    }
    u8 *bytes = buffer_add(engine, &engine->events, EVENT_SIZE);
    clear(bytes, EVENT_SIZE);
    EventHeader *header = (void *)bytes;
    header->version = EVENT_VERSION;
    header->kind = (u8)kind;
    header->flags = (u8)flags;
    header->reason = (u8)reason;
    header->market_id = market_id;
    header->seq = ++engine->seq;
    header->cmd_ms = engine->now_ms;
    header->cmd_n = engine->cmd_n;
    header->cmd_index = engine->cmd_index;
    header->account_id = account_id;
    return bytes;
}

#define EVENT(engine, kind, flags, reason, market_id, account_id)                                                      \
    event_of(engine, EVENT_KIND_##kind, flags, reason, market_id, account_id)

/* `level_lots` > 0 says that the whole order rests; of an iceberg its tip shows. */
void event_accepted(Engine *engine, const Incoming *incoming, i64 level_lots) {
    const Order *order = incoming->order;
    const Seat *seat = incoming->seat;
    const Balance *pays = order->side == SIDE_BUY ? seat->quote : seat->base;
    OrderAcceptedEvent *event = EVENT(engine, ORDER_ACCEPTED, level_lots ? ACCEPTED_FLAG_RESTED : 0, 0,
                                      seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->quantity_lots = order->quantity_lots;
    event->budget_units = incoming->budget_units;
    event->display_lots = incoming->display_lots;
    event->expires_ms = incoming->expires_ms;
    event->available_units = pays->available_units;
    event->held_units = pays->held_units;
    event->level_lots = level_lots;
    event->side = order->side;
    event->order_kind = order->kind;
    event->time_in_force = order->time_in_force;
    event->stp_mode = order->stp_mode;
    memcpy(event->client_id, order->client_id, CLIENT_ID_SIZE);
    const StrategyFrame *strategy = incoming->strategy;
    if (LIKELY(!strategy)) return;
    event->flags |= strategy->given;
    event->strategy_id = strategy->strategy_id;
    event->strategy_type = strategy->strategy_type;
}

/* The order is accepted and stands in no book; a pending one of a list holds nothing either. */
void event_waits(Engine *engine, const Incoming *incoming, u32 flag) {
    const size_t at = engine->events.size;
    event_accepted(engine, incoming, 0);
    OrderAcceptedEvent *event = (void *)(engine->events.data + at);
    event->flags |= (u8)flag;
    event->stop_price_ticks = incoming->stop_price_ticks;
    event->trailing_bips = incoming->trailing_bips;
}

/* `status` is a ListStatus. */
void event_list_changed(Engine *engine, const OrderList *list, u32 status) {
    const Seat *seat = seat_at(engine, list->seat);
    ListChangedEvent *event =
        EVENT(engine, LIST_CHANGED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->list_id = event->order_id_1 = list->order_ids[0];
    event->order_id_2 = list->order_ids[1];
    event->order_id_3 = list->order_ids[2];
    event->list_kind = (u8)list->kind;
    event->status = (u8)status;
    memcpy(event->list_client_id, list->client_id, CLIENT_ID_SIZE);
}

void event_list_rejected(Engine *engine, u32 market_id, u64 account_id, u32 kind, u32 leg, const u8 *client_id,
                         u32 reason) {
    ListRejectedEvent *event = EVENT(engine, LIST_REJECTED, 0, reason, market_id, account_id);
    event->list_kind = (u8)kind;
    event->leg = (u8)leg;
    memcpy(event->list_client_id, client_id, CLIENT_ID_SIZE);
}

void event_list_duplicate(Engine *engine, const OrderList *list, u64 first_list_id) {
    const Seat *seat = seat_at(engine, list->seat);
    ListDuplicateEvent *event =
        EVENT(engine, LIST_DUPLICATE, 0, 0, seat->market->market_id, seat->account->account_id);
    event->list_id = first_list_id;
    memcpy(event->list_client_id, list->client_id, CLIENT_ID_SIZE);
}

/* Its funds are held. */
void event_pending_entered(Engine *engine, const Order *order, u64 list_id, bool waits) {
    const Seat *seat = seat_of(engine, order);
    const Balance *pays = pays_with(engine, order);
    PendingEnteredEvent *event = EVENT(engine, PENDING_ENTERED, waits ? ENTERED_FLAG_WAITING : 0, 0,
                                       seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->list_id = list_id;
    event->price_ticks = order->price_ticks;
    event->available_units = pays->available_units;
    event->held_units = pays->held_units;
    event->side = order->side;
    event->order_kind = order->kind;
    memcpy(event->client_id, order->client_id, CLIENT_ID_SIZE);
}

/* The seq of this event is the order's place in the FIFO. */
void event_triggered(Engine *engine, const Order *order, i64 stop_price_ticks, i64 last_price_ticks) {
    const Seat *seat = seat_of(engine, order);
    OrderTriggeredEvent *event =
        EVENT(engine, ORDER_TRIGGERED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->stop_price_ticks = stop_price_ticks;
    event->last_price_ticks = last_price_ticks;
    event->side = order->side;
    event->order_kind = order->kind;
    memcpy(event->client_id, order->client_id, CLIENT_ID_SIZE);
}

void event_rejected(Engine *engine, u32 market_id, u64 account_id, u32 side, u32 kind, const u8 *client_id, u32 reason) {
    OrderRejectedEvent *event = EVENT(engine, ORDER_REJECTED, 0, reason, market_id, account_id);
    event->side = (u8)side;
    event->order_kind = (u8)kind;
    memcpy(event->client_id, client_id, CLIENT_ID_SIZE);
}

void event_duplicate(Engine *engine, const Incoming *incoming, u64 first_order_id) {
    OrderDuplicateEvent *event = EVENT(engine, ORDER_DUPLICATE, 0, 0, incoming->seat->market->market_id,
                                       incoming->seat->account->account_id);
    event->order_id = first_order_id;
    memcpy(event->client_id, incoming->order->client_id, CLIENT_ID_SIZE);
}

void event_trade(Engine *engine, const Incoming *incoming, const Order *maker, const Seat *maker_seat, Print print) {
    const Seat *seat = incoming->seat;
    TradeEvent *event = EVENT(engine, TRADE, print.flags, 0, seat->market->market_id, seat->account->account_id);
    event->trade_id = print.trade_id;
    event->agg_id = print.agg_id;
    event->maker_account_id = maker_seat->account->account_id;
    event->maker_order_id = maker->order_id;
    event->taker_order_id = incoming->order->order_id;
    event->price_ticks = print.price_ticks;
    event->quantity_lots = print.lots;
    event->taker_fee_units = print.taker_fee;
    event->maker_fee_units = print.maker_fee;
    event->taker_base_available = seat->base->available_units;
    event->taker_base_held = seat->base->held_units;
    event->taker_quote_available = seat->quote->available_units;
    event->taker_quote_held = seat->quote->held_units;
    event->maker_base_available = maker_seat->base->available_units;
    event->maker_base_held = maker_seat->base->held_units;
    event->maker_quote_available = maker_seat->quote->available_units;
    event->maker_quote_held = maker_seat->quote->held_units;
    event->level_lots = print.level_lots;
    event->maker_left_lots = print.maker_left_lots;
}

void event_rested(Engine *engine, const Order *order, i64 level_lots) {
    const Seat *seat = seat_of(engine, order);
    OrderRestedEvent *event =
        EVENT(engine, ORDER_RESTED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->left_lots = open_lots(engine, order);
    event->level_lots = level_lots;
    event->side = order->side;
}

/* `cancel_client_id` may be NULL. `level_lots` counts only where the order was resting. Shares of a block order,
   released before, follow. */
void event_closed(Engine *engine, const Order *order, u32 status, u32 reason, i64 filled, const u8 *cancel_client_id,
                  u32 flags, i64 level_lots) {
    const Seat *seat = seat_of(engine, order);
    const Balance *pays = order->side == SIDE_BUY ? seat->quote : seat->base;
    OrderClosedEvent *event =
        EVENT(engine, ORDER_CLOSED, flags, reason, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->quantity_lots = order->quantity_lots;
    event->filled_lots = filled;
    event->filled_quote_units = order->filled_quote_units;
    event->available_units = pays->available_units;
    event->held_units = pays->held_units;
    event->level_lots = level_lots;
    event->status = (u8)status;
    event->side = order->side;
    event->order_kind = order->kind;
    event->time_in_force = order->time_in_force;
    memcpy(event->client_id, order->client_id, CLIENT_ID_SIZE);
    if (cancel_client_id) memcpy(event->cancel_client_id, cancel_client_id, CLIENT_ID_SIZE);
    event->stp_mode = order->stp_mode;
    const u32 slot = block_of(engine, order);
    if (LIKELY(!slot)) return;
    const BlockOrder *block = block_at(engine, slot);
    for (u32 at = 0; at < block->count; at++) {
        const i64 open = block->shares[at].final_lots - block->shares[at].allocated_lots;
        if (open) event_allocated(engine, order, &block->shares[at], ALLOCATION_STEP_RELEASED, open, 0, 0, 0, false);
    }
}

/* One share of a block order; `step` is an AllocationStep and `lots` those of this step. */
void event_allocated(Engine *engine, const Order *order, const Share *share, u32 step, i64 lots, u64 trade_id,
                     i64 price_ticks, i64 fee_units, bool is_taker) {
    const Seat *seat = seat_at(engine, share->seat);
    AllocatedEvent *event = EVENT(engine, ALLOCATED, is_taker ? ALLOCATED_FLAG_TAKER : 0, 0, seat->market->market_id,
                                  seat->account->account_id);
    event->order_id = order->order_id;
    event->owner_account_id = account_of(engine, order)->account_id;
    event->trade_id = trade_id;
    event->price_ticks = price_ticks;
    event->quantity_lots = lots;
    event->fee_units = fee_units;
    event->final_lots = share->final_lots;
    event->allocated_lots = share->allocated_lots;
    event->base_available = seat->base->available_units;
    event->base_held = seat->base->held_units;
    event->quote_available = seat->quote->available_units;
    event->quote_held = seat->quote->held_units;
    event->step = (u8)step;
    event->side = order->side;
}

void event_cancel_rejected(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id,
                           const u8 *cancel_client_id, u32 reason) {
    CancelRejectedEvent *event = EVENT(engine, CANCEL_REJECTED, 0, reason, market_id, account_id);
    event->order_id = order_id;
    memcpy(event->client_id, client_id, CLIENT_ID_SIZE);
    memcpy(event->cancel_client_id, cancel_client_id, CLIENT_ID_SIZE);
}

void event_all_canceled(Engine *engine, u32 market_id, u64 account_id, u32 count) {
    AllCanceledEvent *event = EVENT(engine, ALL_CANCELED, 0, 0, market_id, account_id);
    event->count = count;
}

/* `stp_mode` is what was done. `decremented` is the maker's level where both lost `lots`, NULL where nobody did. */
void event_prevented(Engine *engine, const Incoming *incoming, const Order *maker, i64 lots, u32 stp_mode,
                     const Level *decremented) {
    const Order *taker = incoming->order;
    const Seat *seat = incoming->seat;
    PreventedMatchEvent *event = EVENT(engine, PREVENTED_MATCH, 0, REASON_SELF_TRADE, seat->market->market_id,
                                       seat->account->account_id);
    event->prevented_id = seat->market->last_prevented_id;
    event->taker_order_id = taker->order_id;
    event->maker_order_id = maker->order_id;
    event->maker_account_id = account_of(engine, maker)->account_id;
    event->price_ticks = maker->price_ticks;
    event->prevented_lots = lots;
    event->stp_mode = (u8)stp_mode;
    if (!decremented) return;
    const Balance *taker_pays = pays_with(engine, taker), *maker_pays = pays_with(engine, maker);
    event->taker_side = taker->side;
    event->taker_available = taker_pays->available_units;
    event->taker_held = taker_pays->held_units;
    event->maker_available = maker_pays->available_units;
    event->maker_held = maker_pays->held_units;
    event->level_lots = decremented->lots;
    event->taker_left_lots = taker->left_lots;
    event->maker_left_lots = open_lots(engine, maker);
}

/* The seq of this event is the order's new place. */
void event_iceberg_refilled(Engine *engine, const Order *order, i64 level_lots) {
    const Seat *seat = seat_of(engine, order);
    IcebergRefilledEvent *event =
        EVENT(engine, ICEBERG_REFILLED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->tip_lots = order->left_lots;
    event->level_lots = level_lots;
    event->side = order->side;
}

void event_amended(Engine *engine, const Order *order, i64 old_lots, i64 level_lots, const u8 *amend_client_id) {
    const Seat *seat = seat_of(engine, order);
    const Balance *pays = pays_with(engine, order);
    OrderAmendedEvent *event =
        EVENT(engine, ORDER_AMENDED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->old_quantity_lots = old_lots;
    event->quantity_lots = order->quantity_lots;
    event->left_lots = open_lots(engine, order);
    event->available_units = pays->available_units;
    event->held_units = pays->held_units;
    event->level_lots = level_lots;
    event->side = order->side;
    event->order_kind = order->kind;
    event->time_in_force = order->time_in_force;
    event->stp_mode = order->stp_mode;
    memcpy(event->client_id, order->client_id, CLIENT_ID_SIZE);
    memcpy(event->amend_client_id, amend_client_id, CLIENT_ID_SIZE);
}

void event_amend_rejected(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id,
                          const u8 *amend_client_id, u32 reason) {
    AmendRejectedEvent *event = EVENT(engine, AMEND_REJECTED, 0, reason, market_id, account_id);
    event->order_id = order_id;
    memcpy(event->client_id, client_id, CLIENT_ID_SIZE);
    memcpy(event->amend_client_id, amend_client_id, CLIENT_ID_SIZE);
}

void event_parked(Engine *engine, const Order *order, i64 reference_ticks, u64 until_ms) {
    const Seat *seat = seat_of(engine, order);
    OrderParkedEvent *event =
        EVENT(engine, ORDER_PARKED, 0, 0, seat->market->market_id, seat->account->account_id);
    event->order_id = order->order_id;
    event->price_ticks = order->price_ticks;
    event->reference_price_ticks = reference_ticks;
    event->until_ms = until_ms;
    event->side = order->side;
}

void event_reviewed(Engine *engine, const ReviewOrderFrame *frame) {
    OrderReviewedEvent *event = EVENT(engine, ORDER_REVIEWED, 0, 0, frame->market_id, frame->account_id);
    event->relay_seq = frame->relay_seq;
    event->source = frame->source;
    event->order_id = frame->order_id;
    event->decision = frame->decision;
}

void event_cancel_timer_set(Engine *engine, u64 account_id, u64 due_ms, u32 flags) {
    CancelTimerSetEvent *event = EVENT(engine, CANCEL_TIMER_SET, flags, 0, 0, account_id);
    event->due_ms = due_ms;
}

/* `to_balance` is the receiving account's, or NULL. */
void event_money_moved(Engine *engine, const MoneyFrame *money, const Balance *balance, i64 amount_units,
                       i64 released_units, const Balance *to_balance) {
    MoneyMovedEvent *event = EVENT(engine, MONEY_MOVED, 0, 0, 0, money->account_id);
    event->relay_seq = money->relay_seq;
    event->source = money->source;
    event->counter = money->counter;
    event->asset_id = money->asset_id;
    event->amount_units = amount_units;
    event->released_units = released_units;
    event->available_units = balance->available_units;
    event->held_units = balance->held_units;
    if (to_balance) {
        event->to_account_id = money->to_account_id;
        event->to_available_units = to_balance->available_units;
        event->to_held_units = to_balance->held_units;
    }
    event->op = money->kind;
    memcpy(event->key, money->key, sizeof event->key);
}

/* Names the asset of a money command, the account of SET_ACCOUNT, the order of a review, else the market. */
void event_relay_refused(Engine *engine, const u8 *bytes, u32 reason) {
    const RelayedHead *head = (const void *)bytes;
    RelayRefusedEvent *event = EVENT(engine, RELAY_REFUSED, 0, reason, head->market_id, head->account_id);
    event->relay_seq = head->relay_seq;
    event->source = head->source;
    event->op = head->kind;
    event->object_id = head->market_id;
    if (head->kind >= COMMAND_KIND_CREDIT && head->kind <= COMMAND_KIND_TRANSFER) {
        const MoneyFrame *money = (const void *)bytes;
        event->object_id = money->asset_id;
        event->amount_units = money->amount_units;
        if (is_text(money->key, sizeof money->key)) memcpy(event->key, money->key, sizeof event->key);
    } else if (head->kind == COMMAND_KIND_SET_ACCOUNT || head->kind == COMMAND_KIND_SET_ALLOCATION) {
        event->object_id = head->account_id;
    } else if (head->kind == COMMAND_KIND_REVIEW_ORDER) {
        event->object_id = ((const ReviewOrderFrame *)(const void *)bytes)->order_id;
    }
}

void event_settings_applied(Engine *engine, const u8 *bytes, u64 object_id, u32 market_id, u64 account_id,
                            u32 settings_version, u64 family_id, u32 fee_tier) {
    const RelayedHead *head = (const void *)bytes;
    SettingsAppliedEvent *event = EVENT(engine, SETTINGS_APPLIED, 0, 0, market_id, account_id);
    event->relay_seq = head->relay_seq;
    event->source = head->source;
    event->op = head->kind;
    event->object_id = object_id;
    event->settings_version = settings_version;
    event->family_id = family_id;
    event->fee_tier = (u16)fee_tier;
}

/* The market is in its new state. */
void event_market_state_changed(Engine *engine, const Market *market, u64 relay_seq, u32 source, u32 old_state) {
    MarketStateChangedEvent *event = EVENT(engine, MARKET_STATE_CHANGED, 0, 0, market->market_id, 0);
    event->relay_seq = relay_seq;
    event->source = (u16)source;
    event->old_state = (u8)old_state;
    event->new_state = (u8)market->state;
    event->cause = (u8)market->cause;
    event->until_ms = market->until_ms;
    event->reopens_ms = market->reopens_ms;
    event->rule_id = market->rule_id;
}

void event_auction_price(Engine *engine, const Market *market) {
    AuctionPriceEvent *event = EVENT(engine, AUCTION_PRICE, 0, 0, market->market_id, 0);
    event->price_ticks = market->auction.price_ticks;
    event->quantity_lots = market->auction.lots;
}

void event_halt_distance(Engine *engine, u32 market_id, const Distance *found) {
    HaltDistanceEvent *event = EVENT(engine, HALT_DISTANCE, 0, 0, market_id, 0);
    event->up_ticks = found->up_ticks;
    event->down_ticks = found->down_ticks;
    event->up_rule_id = (u16)found->up_rule_id;
    event->down_rule_id = (u16)found->down_rule_id;
}

void event_level_changed(Engine *engine, const Market *market, u32 side, i64 price_ticks, i64 level_lots) {
    LevelChangedEvent *event = EVENT(engine, LEVEL_CHANGED, 0, 0, market->market_id, 0);
    event->price_ticks = price_ticks;
    event->level_lots = level_lots;
    event->side = (u8)side;
}

void event_internal_reject(Engine *engine, u32 op, u64 relay_seq, u32 source, u32 reason, u32 market_id,
                           u64 account_id) {
    InternalRejectEvent *event = EVENT(engine, INTERNAL_REJECT, 0, reason, market_id, account_id);
    event->relay_seq = relay_seq;
    event->source = (u16)source;
    event->op = (u8)op;
}
