/* The order of work for one incoming order; the first failing step gives the reason (matching-rules 2).

   format and settings version -> client order id -> market state -> filters -> price band -> limits per account -> funds
   -> would match (LIMIT_MAKER), would trigger (conditional) -> park for review, or sweep -> rest or expire -> triggered
   orders. The steps from the filters on belong to the order's kind. An order that fails at the band alone may be parked (parking.c). */
#include "engine.h"

static const KindRules KIND_RULES[] = {
    [ORDER_KIND_LIMIT] = {limit_is_well_formed, limit_order_fault, place_limit, match_and_rest},
    [ORDER_KIND_MARKET] = {market_is_well_formed, market_order_fault, place_market, enter_market},
    [ORDER_KIND_LIMIT_MAKER] = {maker_is_well_formed, limit_order_fault, place_limit, match_and_rest},
    [ORDER_KIND_STOP_LOSS] = {stop_market_is_well_formed, stop_market_fault, place_conditional, enter_market},
    [ORDER_KIND_STOP_LOSS_LIMIT] = {stop_limit_is_well_formed, stop_limit_fault, place_conditional, match_and_rest},
    [ORDER_KIND_TAKE_PROFIT] = {stop_market_is_well_formed, stop_market_fault, place_conditional, enter_market},
    [ORDER_KIND_TAKE_PROFIT_LIMIT] = {stop_limit_is_well_formed, stop_limit_fault, place_conditional, match_and_rest},
};

const KindRules *rules_of_kind(u32 kind) {
    if (kind >= sizeof KIND_RULES / sizeof *KIND_RULES || !KIND_RULES[kind].place) return NULL;
    return &KIND_RULES[kind];
}

/* Who owns the client id already: ANSWERED where the order is a repeat, DUPLICATE_CLIENT_ID, or 0. */
static u32 client_id_fault(Engine *engine, Incoming *incoming) {
    Order *order = incoming->order;
    if (incoming->ahead) {
        memcpy(order->id_key, incoming->ahead->id_key, KEY_SIZE);
        incoming->id_hash = incoming->ahead->id_hash;
    } else {
        key_of(order->id_key, incoming->seat->account->account_id, order->client_id);
        incoming->id_hash = hash_of_key(engine, order->id_key);
    }
    u32 owner = find_owner(engine, incoming->id_hash, order->id_key);
    if (LIKELY(!owner)) return REASON_NONE;
    u32 fingerprint = fingerprint_of_incoming(engine, incoming);
    if (owner & CLOSED) {
        const ClosedId *closed = closed_id_at(engine, owner & ~CLOSED);
        if (closed->fingerprint != fingerprint) return REASON_NONE;
        u64 first_order_id;
        memcpy(&first_order_id, closed->order_id, sizeof first_order_id);
        event_duplicate(engine, incoming, first_order_id);
        return ANSWERED;
    }
    const Order *open = order_at(engine, owner);
    if (fingerprint_of(engine, open) != fingerprint) return REASON_DUPLICATE_CLIENT_ID;
    event_duplicate(engine, incoming, open->order_id);
    return ANSWERED;
}

/* Why the order is refused, up to the price band; ANSWERED when it was answered as a duplicate. */
static u32 admit(Engine *engine, Incoming *incoming, const KindRules *rules) {
    const Market *market = incoming->seat->market;
    if (!rules->is_well_formed(incoming)) return REASON_MALFORMED;
    if (incoming->settings_version < market->settings_version) return REASON_STALE_SETTINGS;
    if (incoming->order->client_id[0]) {
        u32 reason = client_id_fault(engine, incoming);
        if (reason) return reason;
    }
    if (market->state != MARKET_STATE_OPEN) {
        u32 reason = entry_fault(engine, incoming);
        if (reason) return reason;
    }
    return rules->fault(engine, incoming);
}

/* A seat for the account's first order in the market; NULL where there is no such account. */
static Seat *first_seat(Engine *engine, Market *market, u64 account_id) {
    Account *account = find_account(engine, account_id);
    return account ? take_seat(engine, account, market) : NULL;
}

/* What the frame asks, as a new order outside the pool. */
void read_order(Seat *seat, const PlaceOrderFrame *frame, const u8 *client_id, Order *order, Incoming *incoming) {
    clear(order, sizeof *order);
    order->price_ticks = frame->price_ticks;
    order->quantity_lots = order->left_lots = frame->quantity_lots;
    order->seat = seat->slot;
    order->side = frame->side;
    order->kind = frame->order_kind;
    order->time_in_force = frame->time_in_force;
    order->stp_mode = frame->stp_mode;
    memcpy(order->client_id, client_id, CLIENT_ID_SIZE);
    clear(incoming, sizeof *incoming);
    incoming->order = order;
    incoming->seat = seat;
    incoming->budget_units = frame->budget_units;
    incoming->display_lots = frame->display_lots;
    incoming->expires_ms = frame->expires_ms;
    incoming->stop_price_ticks = frame->stop_price_ticks;
    incoming->trailing_bips = frame->trailing_bips;
    incoming->settings_version = frame->settings_version;
    incoming->strategy = strategy_of(frame);
}

/* Between the order's own checks and what depends on the account stands `proceed`; it may refuse the order, or end it
   there without a word. `block` makes it a block order, and is given back where it does not come to rest. */
void place_order(Engine *engine, const u8 *bytes, const Ahead *ahead, Proceed *proceed, const void *context, u32 block) {
    const PlaceOrderFrame *frame = (const void *)bytes;
    const KindRules *rules = rules_of_kind(frame->order_kind);
    const u8 *client_id = frame->client_id;
    Seat *seat = ahead && ahead->slot ? seat_at(engine, ahead->slot) : NULL;
    if (UNLIKELY(!seat || seat->account->account_id != frame->account_id || seat->market->market_id != frame->market_id))
        seat = find_seat(engine, frame->account_id, frame->market_id);
    Market *market = seat ? seat->market : find_market(engine, frame->market_id);
    if (UNLIKELY(!seat) && market) seat = first_seat(engine, market, frame->account_id);
    u32 reason;
    if (!is_text(client_id, CLIENT_ID_SIZE)) {
        client_id = NO_CLIENT_ID;
        reason = REASON_MALFORMED;
    } else if (!rules || frame->side > SIDE_SELL || !HAS_BIT(KNOWN_STP_MODES, frame->stp_mode) || frame->flags ||
               (UNLIKELY(frame->parts != 1) && !is_of_strategy(frame))) {
        reason = REASON_MALFORMED;
    } else if (!market) {
        reason = REASON_UNKNOWN_MARKET;
    } else if (!seat) {
        reason = REASON_UNKNOWN_ACCOUNT;
    } else {
        Order order;
        Incoming incoming;
        read_order(seat, frame, client_id, &order, &incoming);
        incoming.ahead = ahead;
        if (block) {
            terms_of(engine, &order)->block = block;
            block = 0;
        }
        if (UNLIKELY(order.terms) && !is_well_formed_block(&incoming))
            reason = REASON_MALFORMED;
        else
            reason = admit(engine, &incoming, rules);
        if (reason == REASON_PERCENT_PRICE && may_park(&incoming)) {
            incoming.waiting = WAITING_PARKED;
            reason = REASON_NONE;
        }
        if (!reason && proceed) reason = proceed(engine, &incoming, context);
        if (!reason) {
            reason = rules->place(engine, &incoming);
            if (UNLIKELY(market->queue_first)) run_triggered(engine, market);
        }
        if (reason && order.terms) drop_incoming(engine, &incoming);
    }
    if (block) pool_give(&engine->blocks, block);
    if (reason && reason != ANSWERED)
        event_rejected(engine, frame->market_id, frame->account_id, frame->side, frame->order_kind, client_id, reason);
}
