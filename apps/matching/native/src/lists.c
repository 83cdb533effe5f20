/* PLACE_LIST: OCO, OTO and OTOCO, accepted whole or not at all (T4, matching-rules 5).

   Order of work, as for one order: format and settings versions -> the list's client id -> the orders' client ids -> market
   state (OPEN only) -> filters and bands -> limits of the account -> funds -> would match, would trigger -> in. A pending
   order is checked by its filters now, and by everything when its turn comes. */
#include "engine.h"

#define LEGS_MAX 3

/* A list on its way through its checks. */
typedef struct IncomingList {
    Order orders[LEGS_MAX];
    Incoming legs[LEGS_MAX];
    u32 fingerprints[LEGS_MAX];
    u32 count, entering; /* the orders, and how many of them begin at once */
    Seat *seat;
    OrderList list;
    u64 id_hash;
    u32 at_fault; /* the leg that is, counted from 1, or 0 where it is the list */
} IncomingList;

static u32 fault_of(IncomingList *lot, u32 leg, u32 reason) {
    lot->at_fault = leg;
    return reason;
}

static bool is_stop(u32 kind) { return kind == ORDER_KIND_STOP_LOSS || kind == ORDER_KIND_STOP_LOSS_LIMIT; }

static bool is_target(u32 kind) {
    return kind == ORDER_KIND_LIMIT_MAKER || kind == ORDER_KIND_TAKE_PROFIT || kind == ORDER_KIND_TAKE_PROFIT_LIMIT;
}

static bool is_conditional(const Order *order) { return HAS_BIT(CONDITIONAL_KINDS, order->kind); }

/* The price at which a leg of an OCO comes into play, 0 for one that trails from now on. */
static i64 mark_of(const Incoming *leg) {
    return leg->order->kind == ORDER_KIND_LIMIT_MAKER ? leg->order->price_ticks : leg->stop_price_ticks;
}

static bool make_a_pair(const Incoming *above, const Incoming *below) {
    const Order *high = above->order, *low = below->order;
    if (high->side != low->side || high->quantity_lots != low->quantity_lots) return false;
    const bool selling = high->side == SIDE_SELL;
    if (selling ? !is_target(high->kind) || !is_stop(low->kind) : !is_stop(high->kind) || !is_target(low->kind)) return false;
    return !mark_of(above) || !mark_of(below) || mark_of(above) > mark_of(below);
}

/* Whether these orders make such a list (list_legs.py). */
static bool make_a_list(const IncomingList *lot) {
    if (lot->list.kind == LIST_KIND_OCO) return make_a_pair(&lot->legs[0], &lot->legs[1]);
    const u32 working = lot->orders[0].kind;
    if (working != ORDER_KIND_LIMIT && working != ORDER_KIND_LIMIT_MAKER) return false;
    for (u32 leg = 1; leg < lot->count; leg++)
        if (lot->legs[leg].budget_units) return false;
    return lot->count == 2 || make_a_pair(&lot->legs[1], &lot->legs[2]);
}

/* A PLACE_ORDER of the seat's market and account; false if it is malformed. */
static bool read_leg(Seat *seat, const u8 *bytes, Order *order, Incoming *leg) {
    const PlaceOrderFrame *frame = (const void *)bytes;
    const KindRules *rules = rules_of_kind(frame->order_kind);
    if (!is_order_of(bytes, seat->market->market_id, seat->account->account_id)) return false;
    if (!rules || frame->side > SIDE_SELL || !HAS_BIT(KNOWN_STP_MODES, frame->stp_mode) || frame->flags ||
        (frame->parts != 1 && !is_of_strategy(frame)) || !is_text(frame->client_id, CLIENT_ID_SIZE))
        return false;
    read_order(seat, frame, frame->client_id, order, leg);
    return rules->is_well_formed(leg);
}

/* 0 for a new list; ANSWERED where it was answered with the first one. */
static u32 answer_repeat(Engine *engine, IncomingList *lot) {
    const u32 owner = find_owner(engine, lot->id_hash, lot->list.id_key);
    u64 first_list_id;
    if (!owner) return REASON_NONE;
    if (owner & CLOSED) {
        const ClosedId *closed = closed_id_at(engine, owner & ~CLOSED);
        if (closed->fingerprint != lot->list.fingerprint) return REASON_NONE;
        memcpy(&first_list_id, closed->order_id, sizeof first_list_id);
    } else {
        const OrderList *open = list_at(engine, owner & ~LISTED);
        if (open->fingerprint != lot->list.fingerprint) return REASON_DUPLICATE_CLIENT_ID;
        first_list_id = open->order_ids[0];
    }
    event_list_duplicate(engine, &lot->list, first_list_id);
    return ANSWERED;
}

static u32 client_ids_fault(Engine *engine, IncomingList *lot) {
    for (u32 leg = 0; leg < lot->count; leg++)
        for (u32 before = 0; before < leg; before++)
            if (lot->orders[leg].client_id[0] &&
                !memcmp(lot->orders[leg].client_id, lot->orders[before].client_id, CLIENT_ID_SIZE))
                return fault_of(lot, 0, REASON_DUPLICATE_CLIENT_ID);
    for (u32 leg = 0; leg < lot->count; leg++) {
        Order *order = &lot->orders[leg];
        if (!order->client_id[0]) continue;
        key_of(order->id_key, lot->seat->account->account_id, order->client_id);
        lot->legs[leg].id_hash = hash_of_key(engine, order->id_key);
        const u32 owner = find_owner(engine, lot->legs[leg].id_hash, order->id_key);
        if (!owner) continue;
        if (!(owner & CLOSED) || closed_id_at(engine, owner & ~CLOSED)->fingerprint == lot->fingerprints[leg])
            return fault_of(lot, leg + 1, REASON_DUPLICATE_CLIENT_ID);
    }
    return REASON_NONE;
}

/* Limits of the account in this market for a list and all its orders at once, the pending ones too. */
static u32 list_limits_fault(const IncomingList *lot) {
    const Seat *seat = lot->seat;
    const MarketSettings *settings = &seat->market->settings;
    i64 icebergs = 0;
    u32 conditional = 0;
    for (u32 leg = 0; leg < lot->count; leg++) {
        icebergs += lot->legs[leg].display_lots != 0;
        conditional += is_conditional(&lot->orders[leg]);
    }
    if (settings->max_order_lists && seat->order_lists >= settings->max_order_lists) return REASON_MAX_NUM_ORDER_LISTS;
    if (settings->max_open_orders && (i64)seat->open_orders + lot->count > settings->max_open_orders)
        return REASON_MAX_NUM_ORDERS;
    if (icebergs && settings->max_iceberg_orders && seat->iceberg_orders + icebergs > settings->max_iceberg_orders)
        return REASON_MAX_NUM_ICEBERG_ORDERS;
    return conditional_orders_fault(seat, conditional);
}

/* Client ids, market state, filters and bands, limits of the account. */
static u32 legs_fault(Engine *engine, IncomingList *lot) {
    u32 reason = client_ids_fault(engine, lot);
    if (reason) return reason;
    const Market *market = lot->seat->market;
    if (market->state != MARKET_STATE_OPEN) return fault_of(lot, 0, PASSES[market->state].refusal);
    for (u32 leg = 0; leg < lot->count; leg++) {
        reason = rules_of_kind(lot->orders[leg].kind)->fault(engine, &lot->legs[leg]);
        if (reason && !(leg >= lot->entering && reason == REASON_PERCENT_PRICE)) return fault_of(lot, leg + 1, reason);
    }
    return fault_of(lot, 0, list_limits_fault(lot));
}

/* It must not match at once (LIMIT_MAKER), or trigger at once (conditional orders that do not trail). */
static u32 at_once_fault(Engine *engine, const Incoming *leg) {
    const Order *order = leg->order;
    Market *market = leg->seat->market;
    if (order->kind == ORDER_KIND_LIMIT_MAKER && would_match(engine, market, order)) return REASON_WOULD_MATCH;
    if (is_conditional(order) && !leg->trailing_bips && is_met(order, leg->stop_price_ticks, reference_price(market)))
        return REASON_WOULD_TRIGGER;
    return REASON_NONE;
}

/* What a leg will need for its whole quantity. */
static i64 need_of_leg(const Incoming *leg) {
    if (is_conditional(leg->order) && leg->order->side == SIDE_BUY && !leg->order->price_ticks)
        return (i64)buffered_units(leg);
    return units_for(leg->seat->market, leg->order, leg->order->quantity_lots);
}

/* Units that these legs hold from now on: the larger need of an OCO. */
static i64 need_of_legs(const Incoming *legs, u32 count) {
    i64 most = 0;
    for (u32 leg = 0; leg < count; leg++) {
        const i64 need = need_of_leg(&legs[leg]);
        if (need > most) most = need;
    }
    return most;
}

/* Accepted orders that hold their funds begin: what waits for a trigger first, then what goes into the book. */
static void enter_legs(Engine *engine, Incoming *legs, u32 count) {
    for (u32 leg = 0; leg < count; leg++) {
        const Order *order = legs[leg].order;
        if (!is_conditional(order)) continue;
        const i64 last_ticks = reference_price(legs[leg].seat->market);
        Terms *terms = terms_at(engine, order->terms);
        await_trigger(engine, legs[leg].slot, is_met(order, terms->stop_price_ticks, last_ticks) ? last_ticks : 0);
        if (terms->queued_seq) /* it was open before, with its timer and counts */
            terms->queued_seq = 0;
        else
            start_terms(engine, legs[leg].slot);
    }
    for (u32 leg = 0; leg < count; leg++)
        if (!is_conditional(legs[leg].order)) {
            match_and_rest(engine, &legs[leg]);
            return; /* an OCO has one at most, and its order may be gone now */
        }
}

/* The orders get their ids and slots, and the list stands at its seat. */
static void number_list(Engine *engine, IncomingList *lot) {
    const u32 slot = pool_take(engine, &engine->lists);
    OrderList *list = list_at(engine, slot);
    *list = lot->list;
    list->count = lot->count;
    for (u32 leg = 0; leg < lot->count; leg++) {
        Order *order = &lot->orders[leg];
        Incoming *incoming = &lot->legs[leg];
        list->order_ids[leg] = order->order_id = take_order_id(engine);
        Terms *terms = terms_of(engine, order);
        take_terms(terms, incoming);
        terms->list = slot;
        if (leg < lot->entering && is_conditional(order) && order->side == SIDE_BUY && !order->price_ticks)
            terms->hold_units = need_of_leg(incoming);
        incoming->slot = list->legs[leg] = new_order(engine, order);
        incoming->order = order_at(engine, incoming->slot);
    }
    lot->seat->order_lists++;
    if (list->client_id[0]) own_list_id(engine, lot->id_hash, slot);
    event_list_changed(engine, list, LIST_STATUS_EXEC_STARTED);
}

/* Funds, would match and would trigger; then the list is in. */
static u32 accept_list(Engine *engine, IncomingList *lot) {
    Seat *seat = lot->seat;
    Market *market = seat->market;
    Balance *pays = lot->orders[0].side == SIDE_BUY ? seat->quote : seat->base;
    const i64 need = need_of_legs(lot->legs, lot->entering);
    if (pays->available_units < need)
        return fault_of(lot, lot->entering == 1 ? 1 : 0, REASON_INSUFFICIENT_BALANCE);
    for (u32 leg = 0; leg < lot->entering; leg++) {
        const u32 reason = at_once_fault(engine, &lot->legs[leg]);
        if (reason) return fault_of(lot, leg + 1, reason);
    }
    hold(engine, pays, need);
    number_list(engine, lot);
    for (u32 leg = 0; leg < lot->count; leg++) {
        Incoming *incoming = &lot->legs[leg];
        Terms *terms = terms_at(engine, incoming->order->terms);
        if (leg >= lot->entering) {
            event_waits(engine, incoming, ACCEPTED_FLAG_PENDING);
            terms->waiting = WAITING_PENDING;
            wait_order(engine, incoming->slot, incoming->id_hash);
        } else if (is_conditional(incoming->order)) {
            event_waits(engine, incoming, ACCEPTED_FLAG_WAITING);
            wait_order(engine, incoming->slot, incoming->id_hash);
        } else {
            event_accepted(engine, incoming, 0);
        }
        terms->accepted_seq = engine->seq;
    }
    for (u32 leg = lot->entering; leg < lot->count; leg++) start_terms(engine, lot->legs[leg].slot);
    enter_legs(engine, lot->legs, lot->entering);
    if (market->queue_first) run_triggered(engine, market);
    return REASON_NONE;
}

/* `places` are where the orders start. */
static u32 place_legs(Engine *engine, IncomingList *lot, const u8 **places) {
    for (u32 leg = 0; leg < lot->count; leg++) {
        if (!read_leg(lot->seat, places[leg], &lot->orders[leg], &lot->legs[leg]))
            return fault_of(lot, leg + 1, REASON_MALFORMED);
        if (lot->legs[leg].settings_version < lot->seat->market->settings_version)
            return fault_of(lot, leg + 1, REASON_STALE_SETTINGS);
    }
    if (!make_a_list(lot)) return fault_of(lot, 0, REASON_LIST_LEGS);
    lot->list.fingerprint = crc_of_byte((u8)lot->list.kind);
    for (u32 leg = 0; leg < lot->count; leg++) {
        lot->fingerprints[leg] = fingerprint_of_incoming(engine, &lot->legs[leg]);
        lot->list.fingerprint =
            crc_of(lot->list.fingerprint, (const u8 *)&lot->fingerprints[leg], sizeof lot->fingerprints[leg]);
    }
    if (lot->list.client_id[0]) {
        list_key_of(lot->list.id_key, lot->seat->account->account_id, lot->list.client_id);
        lot->id_hash = hash_of_key(engine, lot->list.id_key);
        const u32 reason = answer_repeat(engine, lot);
        if (reason) return fault_of(lot, 0, reason);
    }
    const u32 reason = legs_fault(engine, lot);
    return reason ? reason : accept_list(engine, lot);
}

void place_list(Engine *engine, const u8 *bytes) {
    const PlaceListFrame *frame = (const void *)bytes;
    const u8 *client_id = frame->list_client_id;
    Market *market = find_market(engine, frame->market_id);
    Account *account = find_account(engine, frame->account_id);
    const u32 count = legs_of_kind(frame->list_kind);
    const u8 *places[LEGS_MAX];
    u32 reason, leg = 0;
    if (!is_text(client_id, CLIENT_ID_SIZE)) {
        client_id = NO_CLIENT_ID;
        reason = REASON_MALFORMED;
    } else if (frame->flags || !count || !find_orders(bytes, frame->parts, count, places)) {
        reason = REASON_MALFORMED;
    } else if (!market) {
        reason = REASON_UNKNOWN_MARKET;
    } else if (!account) {
        reason = REASON_UNKNOWN_ACCOUNT;
    } else {
        Seat *seat = find_seat(engine, frame->account_id, frame->market_id);
        if (!seat) seat = take_seat(engine, account, market);
        IncomingList lot;
        memset(&lot, 0, sizeof lot);
        lot.count = count;
        lot.entering = frame->list_kind == LIST_KIND_OCO ? 2 : 1;
        lot.seat = seat;
        lot.list.kind = frame->list_kind;
        lot.list.stage = frame->list_kind == LIST_KIND_OCO ? LIST_STAGE_ENTERED : LIST_STAGE_WORKING;
        lot.list.seat = seat->slot;
        memcpy(lot.list.client_id, client_id, CLIENT_ID_SIZE);
        reason = place_legs(engine, &lot, places);
        leg = lot.at_fault;
    }
    if (reason && reason != ANSWERED)
        event_list_rejected(engine, frame->market_id, frame->account_id, frame->list_kind, leg, client_id, reason);
}
