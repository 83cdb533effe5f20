/* The state of a snapshot body of these rules or of older ones (snapshot.py). What cannot be a state is refused: whatever
   the bytes are, no look-up, link or division goes wrong later. */
#include "engine.h"

#include <stdlib.h>

typedef struct Rows {
    const u8 *first;
    u32 count;
} Rows;

#define EACH_ROW(type, row, rows)                                                                                      \
    for (const type *row = (const void *)(rows).first, *end_##row = row + (rows).count; row < end_##row; row++)

static void fits(Engine *engine, bool holds, const char *what) {
    if (!holds) fail(engine, NBP_SNAPSHOT_ERROR, "a row does not fit the others: %s", what);
}

static u32 version_of(Engine *engine, const u8 *body, size_t size) {
    u32 head[2];
    if (size < SNAPSHOT_MAGIC_SIZE + sizeof head || memcmp(body, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_SIZE))
        fail(engine, NBP_SNAPSHOT_ERROR, "not a snapshot body");
    memcpy(head, body + SNAPSHOT_MAGIC_SIZE, sizeof head);
    if (head[0] != 1) fail(engine, NBP_SNAPSHOT_ERROR, "a snapshot has one head row");
    return head[1];
}

/* Where each table's rows stand; none of a table that the version did not have. */
static void find_tables(Engine *engine, const u8 *body, size_t size, u32 version, Rows tables[TABLE_COUNT]) {
    size_t offset = SNAPSHOT_MAGIC_SIZE;
    for (u32 table = 0; table < TABLE_COUNT; table++) {
        const SnapshotTable *layout = &SNAPSHOT_TABLES[table];
        tables[table] = (Rows){body, 0};
        if (layout->since > version) continue;
        if (size - offset < sizeof(u32))
            fail(engine, NBP_SNAPSHOT_ERROR, "the body ends before table %s", layout->name);
        memcpy(&tables[table].count, body + offset, sizeof(u32));
        offset += sizeof(u32);
        if ((size - offset) / layout->row_size < tables[table].count)
            fail(engine, NBP_SNAPSHOT_ERROR, "the body ends within table %s", layout->name);
        tables[table].first = body + offset;
        offset += (size_t)tables[table].count * layout->row_size;
    }
    if (offset != size) fail(engine, NBP_SNAPSHOT_ERROR, "%zu bytes follow the last table", size - offset);
}

static void restore_relays(Engine *engine, Rows rows) {
    fits(engine, rows.count <= sizeof engine->relays / sizeof *engine->relays, "too many sources");
    EACH_ROW(RelaysRow, row, rows) {
        const u32 count = engine->relay_count;
        fits(engine, !count || engine->relays[count - 1].source < row->source, "sources are not in order");
        engine->relays[engine->relay_count++] = (Relay){row->source, row->relay_seq};
    }
}

static void restore_assets(Engine *engine, Rows rows) {
    EACH_ROW(AssetsRow, row, rows) {
        fits(engine, !find_asset(engine, row->asset_id), "an asset stands there twice");
        fits(engine, row->external_units >= 0 && row->external_units <= AMOUNT_MAX, "an asset above 2^62");
        fits(engine, is_amount(row->fee_units), "an asset's fees");
        Asset *asset = new_asset(engine, row->asset_id);
        memcpy(asset->code, row->code, sizeof asset->code);
        asset->external_units = row->external_units;
        asset->fee_units = row->fee_units;
    }
}

static void restore_asset_classes(Engine *engine, Rows rows) {
    EACH_ROW(AssetClassesRow, row, rows) {
        Asset *asset = find_asset(engine, row->asset_id);
        fits(engine, asset && !asset->asset_class[0], "a class of an asset");
        fits(engine, row->asset_class[0] && is_text(row->asset_class, sizeof row->asset_class), "an asset's class");
        memcpy(asset->asset_class, row->asset_class, sizeof asset->asset_class);
    }
}

static void restore_market(Engine *engine, const MarketsRow *row, const Rows tables[TABLE_COUNT]) {
    MarketSettings settings = {
        .market_id = row->market_id,
        .base_asset_id = row->base_asset_id,
        .quote_asset_id = row->quote_asset_id,
        .settings_version = row->settings_version,
        .tick_size = row->tick_size,
        .lot_size = row->lot_size,
        .initial_price_ticks = row->initial_price_ticks,
        .min_price_ticks = row->min_price_ticks,
        .max_price_ticks = row->max_price_ticks,
        .min_lots = row->min_lots,
        .max_lots = row->max_lots,
        .market_max_lots = row->market_max_lots,
        .min_notional_units = row->min_notional_units,
        .max_notional_units = row->max_notional_units,
        .bid_down_bp = row->bid_down_bp,
        .bid_up_bp = row->bid_up_bp,
        .ask_down_bp = row->ask_down_bp,
        .ask_up_bp = row->ask_up_bp,
        .max_open_orders = row->max_open_orders,
    };
    memcpy(settings.symbol, row->symbol, sizeof settings.symbol);
#define DEFAULT_RULE(name, value) settings.name = value;
#define RULE_COLUMN(name, value) settings.name = (i64)rule->name;
#define READ_RULES(name, table, row_type, columns)                                                                     \
    columns(DEFAULT_RULE)                                                                                              \
    EACH_ROW(row_type, rule, tables[table]) {                                                                          \
        if (rule->market_id != row->market_id) continue;                                                               \
        columns(RULE_COLUMN)                                                                                           \
    }
    RULES_TABLES(READ_RULES)
    EACH_ROW(BreakersRow, rule, tables[TABLE_BREAKERS]) {
        if (rule->market_id != row->market_id) continue;
        fits(engine, settings.breaker_count < MAX_BREAKER_RULES, "a market with too many breakers");
        settings.breaker_rules[settings.breaker_count++] =
            (BreakerRule){rule->rule_id, rule->measure, rule->bp, rule->window_ms, rule->halt_s};
    }
    EACH_ROW(FeesRow, fee, tables[TABLE_FEES]) {
        if (fee->market_id != row->market_id) continue;
        fits(engine, settings.fee_count < MAX_FEE_TIERS, "a market with too many fees");
        settings.maker_ppm[settings.fee_count] = fee->maker_ppm;
        settings.taker_ppm[settings.fee_count++] = fee->taker_ppm;
    }
    fits(engine, is_text(row->symbol, sizeof row->symbol), "a market without a name");
    fits(engine, settings_are_sound(&settings), "a market's settings");
    fits(engine, HAS_BIT(KNOWN_MARKET_STATES, row->state) && HAS_BIT(KNOWN_HALT_CAUSES, row->cause), "a market's state");
    fits(engine, is_amount(row->last_price_ticks), "a market's last price");
    fits(engine, !find_market(engine, row->market_id), "a market stands there twice");
    Asset *base = find_asset(engine, row->base_asset_id), *quote = find_asset(engine, row->quote_asset_id);
    fits(engine, base && quote, "a market without its assets");
    Market *market = new_market(engine, &settings, base, quote);
    market->state = row->state;
    market->cause = row->cause;
    market->last_price_ticks = row->last_price_ticks;
    market->last_trade_id = row->last_trade_id;
    market->last_agg_id = row->last_agg_id;
    market->last_prevented_id = row->last_prevented_id;
}

/* No rules of a market that is not there. */
static void check_rules(Engine *engine, const Rows tables[TABLE_COUNT]) {
#define CHECK_RULES(name, table, row_type, columns)                                                                    \
    EACH_ROW(row_type, rule, tables[table])                                                                            \
        fits(engine, find_market(engine, rule->market_id) != NULL, "rules of a market that is not there");
    RULES_TABLES(CHECK_RULES)
    EACH_ROW(BreakersRow, rule, tables[TABLE_BREAKERS])
        fits(engine, find_market(engine, rule->market_id) != NULL, "rules of a market that is not there");
}

/* Sums of price x lots below 2^112 leave room for a share in basis points; no history comes near them. */
#define VWAP_VALUE_HIGH_MAX (1ull << 48)

static Window *find_window(Engine *engine, u32 market_id, u32 rule_id) {
    const Market *market = find_market(engine, market_id);
    for (u32 at = 0; market && at < market->breaker.count; at++)
        if (window_of(engine, &market->breaker, at)->rule.rule_id == rule_id)
            return window_of(engine, &market->breaker, at);
    fits(engine, false, "a breaker that is not there");
    return NULL;
}

/* Into markets that have their settings. */
static void restore_halts(Engine *engine, const Rows tables[TABLE_COUNT]) {
    for (u32 place = 0; place < engine->market_count; place++)
        for (u32 at = 0; at < engine->markets[place]->breaker.count; at++)
            restart_window(window_of(engine, &engine->markets[place]->breaker, at), 0);
    EACH_ROW(BreakerBeforesRow, row, tables[TABLE_BREAKER_BEFORES]) {
        fits(engine, is_positive_amount(row->ticks), "a breaker's price");
        find_window(engine, row->market_id, row->rule_id)->before = row->ticks;
    }
    EACH_ROW(BreakerBucketsRow, row, tables[TABLE_BREAKER_BUCKETS]) {
        Window *window = find_window(engine, row->market_id, row->rule_id);
        const u64 at_ms = row->bucket * window->len_ms;
        fits(engine, row->bucket <= INT64_MAX / window->len_ms && window->count < BREAKER_BUCKETS + 2, "a breaker's bucket");
        fits(engine, !window->count || newest_bucket(window)->k < row->bucket, "a breaker's bucket");
        if (is_vwap(window)) {
            fits(engine, row->value_high < VWAP_VALUE_HIGH_MAX && row->lots, "a breaker's sums");
            take_sums(engine, window, at_ms, (i128)((u128)row->value_high << 64 | row->value_low), row->lots);
            fits(engine, (u64)(window->value >> 64) < VWAP_VALUE_HIGH_MAX, "a breaker's sums");
            continue;
        }
        fits(engine, is_positive_amount(row->low_ticks) && row->low_ticks <= row->last_ticks &&
                         row->last_ticks <= row->high_ticks && is_positive_amount(row->high_ticks), "a breaker's prices");
        take_price(engine, window, at_ms, row->low_ticks);
        take_price(engine, window, at_ms, row->high_ticks);
        take_price(engine, window, at_ms, row->last_ticks);
    }
    EACH_ROW(BreakerHaltsRow, row, tables[TABLE_BREAKER_HALTS]) {
        Market *market = find_market(engine, row->market_id);
        fits(engine, market && row->begun_ms <= INT64_MAX, "a breaker's halt");
        add_halt(engine, market, row->begun_ms);
    }
    EACH_ROW(MarketTimersRow, row, tables[TABLE_MARKET_TIMERS]) {
        Market *market = find_market(engine, row->market_id);
        fits(engine, market && !market->timer_seq && row->seq && row->until_ms && row->until_ms <= INT64_MAX,
             "a market's timer");
        market->until_ms = row->until_ms;
        market->reopens_ms = row->reopens_ms;
        market->rule_id = row->rule_id;
        market->timer_seq = row->seq;
        add_timer(engine, (i64)row->until_ms, row->seq, TIMER_MARKET, market->slot);
    }
    EACH_ROW(HaltDistancesRow, row, tables[TABLE_HALT_DISTANCES]) {
        Market *market = find_market(engine, row->market_id);
        fits(engine, market && !market->told_ms && row->told_ms && row->told_ms <= engine->now_ms &&
                         row->up_ticks >= 0 && is_amount(row->down_ticks), "a distance to halt");
        market->told = (Distance){row->up_ticks, row->down_ticks, row->up_rule_id, row->down_rule_id};
        market->told_ms = row->told_ms;
    }
    EACH_ROW(AuctionsRow, row, tables[TABLE_AUCTIONS]) {
        Market *market = find_market(engine, row->market_id);
        fits(engine, market && market->state == MARKET_STATE_AUCTION && !market->is_touched, "an auction");
        fits(engine, is_amount(row->auction_ticks) && is_amount(row->auction_lots), "an auction's price");
        market->extensions = row->extensions;
        market->auction = (AuctionPrice){row->auction_ticks, row->auction_lots};
        market->is_touched = true; /* so that no other row names it */
        engine->auctions++;
    }
    for (u32 place = 0; place < engine->market_count; place++) {
        Market *market = engine->markets[place];
        fits(engine, market->is_touched == (market->state == MARKET_STATE_AUCTION), "an auction that is not there");
        market->is_touched = false;
    }
    engine->auctions_seen = engine->seq;
}

static void restore_accounts(Engine *engine, Rows accounts, Rows balances) {
    EACH_ROW(AccountsRow, row, accounts) {
        fits(engine, row->fee_tier < MAX_FEE_TIERS, "an account's fee tier");
        fits(engine, !find_account(engine, row->account_id), "an account stands there twice");
        new_account(engine, row->account_id, row->family_id, row->fee_tier);
    }
    EACH_ROW(BalancesRow, row, balances) {
        Account *account = find_account(engine, row->account_id);
        fits(engine, account != NULL, "a balance without its account");
        fits(engine, is_amount(row->available_units) && is_amount(row->held_units), "a balance below 0 or above 2^62");
        Balance *balance = balance_of(engine, account, row->asset_id);
        balance->available_units = row->available_units;
        balance->held_units = row->held_units;
    }
}

static void restore_holds(Engine *engine, Rows rows) {
    u32 slot;
    EACH_ROW(HoldsRow, row, rows) {
        fits(engine, row->amount_units > 0 && is_text(row->key, sizeof row->key), "a hold's amount or key");
        fits(engine, find_account(engine, row->account_id) && find_asset(engine, row->asset_id), "whose hold it is");
        fits(engine, !find_hold(engine, row->key, &slot), "a hold stands there twice");
        put_hold(engine, row->key, row->account_id, row->asset_id, row->amount_units);
    }
}

static void restore_closed_ids(Engine *engine, Rows rows) {
    fits(engine, rows.count <= engine->client_ids.capacity, "more closed client ids than are kept");
    EACH_ROW(ClosedId, row, rows) {
        const u64 hash = hash_of_key(engine, row->id_key);
        u64 order_id;
        memcpy(&order_id, row->order_id, sizeof order_id);
        put_closed_id(engine, row->id_key, row->fingerprint, order_id, find_owner(engine, hash, row->id_key), hash);
    }
}

static void restore_order(Engine *engine, const OrdersRow *row, bool waits) {
    Market *market = find_market(engine, row->market_id);
    Account *account = find_account(engine, row->account_id);
    fits(engine, market && account, "an order without its market or account");
    fits(engine, row->side <= SIDE_SELL && HAS_BIT(KNOWN_ORDER_KINDS, row->kind) &&
                     HAS_BIT(KNOWN_TIMES_IN_FORCE, row->time_in_force) && HAS_BIT(KNOWN_STP_MODES, row->stp_mode),
         "an order's kind");
    fits(engine, is_amount(row->price_ticks) && (row->price_ticks || waits) && is_positive_amount(row->quantity_lots) &&
                     is_positive_amount(row->left_lots), "an order's price or lots");
    fits(engine, (i128)row->quantity_lots * market->lot_size <= AMOUNT_MAX &&
                     (i128)row->price_ticks * row->quantity_lots <= AMOUNT_MAX / market->unit_factor,
         "an order's worth");
    fits(engine, row->order_id && row->order_id <= engine->last_order_id && !find_order_id(engine, row->order_id),
         "an order's id");
    fits(engine, is_text(row->client_id, sizeof row->client_id), "an order's client id");
    Seat *seat = find_seat(engine, row->account_id, row->market_id);
    if (!seat) seat = take_seat(engine, account, market);
    Order order = {
        .order_id = row->order_id,
        .price_ticks = row->price_ticks,
        .quantity_lots = row->quantity_lots,
        .left_lots = row->left_lots,
        .filled_quote_units = row->filled_quote_units,
        .seat = seat->slot,
        .side = row->side,
        .kind = row->kind,
        .time_in_force = row->time_in_force,
        .stp_mode = row->stp_mode,
        .priority = row->priority,
    };
    memcpy(order.client_id, row->client_id, sizeof order.client_id);
    u64 hash = 0;
    if (order.client_id[0]) {
        key_of(order.id_key, row->account_id, row->client_id);
        fits(engine, !memcmp(order.id_key, row->id_key, sizeof order.id_key), "an order's key");
        hash = hash_of_key(engine, order.id_key);
        u32 owner = find_owner(engine, hash, order.id_key);
        fits(engine, !owner || owner & CLOSED, "two orders with one client id");
    }
    if (waits)
        wait_order(engine, new_order(engine, &order), hash);
    else
        rest_order(engine, new_order(engine, &order), hash);
}

typedef struct Place {
    u64 priority;
    const OrdersRow *row;
} Place;

static int compare_places(const void *left, const void *right) {
    u64 a = ((const Place *)left)->priority, b = ((const Place *)right)->priority;
    return a < b ? -1 : a > b;
}

/* Whether the table, whose rows begin with the order_id by which it is sorted, has a row of the order. */
static bool has_row(Rows rows, size_t row_size, u64 order_id) {
    u32 low = 0, count = rows.count;
    u64 found;
    while (low < count) {
        const u32 middle = low + (count - low) / 2;
        memcpy(&found, rows.first + middle * row_size, sizeof found);
        if (found < order_id)
            low = middle + 1;
        else
            count = middle;
    }
    if (low >= rows.count) return false;
    memcpy(&found, rows.first + low * row_size, sizeof found);
    return found == order_id;
}

/* Levels are first come first served by priority, so orders enter the book in that order. */
static void restore_orders(Engine *engine, Rows rows, Rows parked, Rows waiting) {
    const size_t size = (rows.count + 1ull) * sizeof(Place);
    Place *places = memory_take(engine, size);
    u32 count = 0;
    EACH_ROW(OrdersRow, row, rows) places[count++] = (Place){row->priority, row};
    qsort(places, count, sizeof *places, compare_places);
    for (u32 at = 0; at < count; at++) restore_order(engine, places[at].row,
                      has_row(parked, sizeof(ParkedRow), places[at].row->order_id) ||
                          has_row(waiting, sizeof(WaitingRow), places[at].row->order_id));
    memory_give(engine, places, size);
}

/* Rules whose accounts stand behind them, in the same order. */
static void restore_rules(Engine *engine, Rows rules, Rows members) {
    const AllocatedAccountsRow *member = (const void *)members.first, *end = member + members.count;
    EACH_ROW(AllocationsRow, row, rules) {
        Account *owner = find_account(engine, row->account_id);
        AllocationRule rule = {.rule_id = row->rule_id, .method = row->method};
        for (; member < end && member->account_id == row->account_id && member->rule_id == row->rule_id; member++) {
            fits(engine, rule.count < MAX_ALLOCATION_ACCOUNTS && member->sub_account_id, "a rule's accounts");
            rule.accounts[rule.count] = member->sub_account_id;
            rule.weights_bp[rule.count++] = member->weight_bp;
        }
        fits(engine, owner && HAS_BIT(KNOWN_ALLOCATION_METHODS, row->method) && rule.count, "an allocation rule");
        fits(engine, !find_rule(engine, owner, row->rule_id), "an allocation rule stands there twice");
        i64 sum = 0;
        for (u32 at = 0; at < rule.count; at++) sum += rule.weights_bp[at];
        fits(engine, rule.method != ALLOCATION_METHOD_FIXED || sum == BASIS_POINTS, "a rule's weights");
        put_rule(engine, owner, &rule);
    }
    fits(engine, member == end, "accounts of no allocation rule");
}

static Terms *terms_of_row(Engine *engine, u64 order_id, u32 *slot) {
    *slot = find_order_id(engine, order_id);
    fits(engine, *slot != 0, "terms without their order");
    return terms_of(engine, order_at(engine, *slot));
}

static void restore_blocks(Engine *engine, const Rows tables[TABLE_COUNT]) {
    u32 slot;
    EACH_ROW(BlocksRow, row, tables[TABLE_BLOCKS]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        fits(engine, !terms->block, "a block order stands there twice");
        terms->block = pool_take(engine, &engine->blocks);
        block_at(engine, terms->block)->rule_id = row->rule_id;
        block_at(engine, terms->block)->requested_crc = row->requested_crc;
    }
    EACH_ROW(SharesRow, row, tables[TABLE_SHARES]) {
        const Terms *terms = terms_of_row(engine, row->order_id, &slot);
        Market *market = market_of(engine, order_at(engine, slot));
        Account *account = find_account(engine, row->account_id);
        fits(engine, terms->block && account, "a share without its block order or account");
        fits(engine, is_positive_amount(row->final_lots) && is_amount(row->allocated_lots) &&
                         row->allocated_lots <= row->final_lots, "a share's lots");
        BlockOrder *block = block_at(engine, terms->block);
        fits(engine, block->count < MAX_ALLOCATION_ACCOUNTS, "a block order with too many shares");
        Seat *seat = find_seat(engine, row->account_id, market->market_id);
        if (!seat) seat = take_seat(engine, account, market);
        block->shares[block->count++] = (Share){row->final_lots, row->allocated_lots, seat->slot, 0};
    }
    EACH_ROW(BlocksRow, row, tables[TABLE_BLOCKS]) {
        const BlockOrder *block = block_at(engine, terms_of_row(engine, row->order_id, &slot)->block);
        const Order *order = order_at(engine, slot);
        i128 final = 0, open = 0;
        for (u32 at = 0; at < block->count; at++) {
            final += block->shares[at].final_lots;
            open += block->shares[at].final_lots - block->shares[at].allocated_lots;
        }
        fits(engine, final == order->quantity_lots && open == open_lots(engine, order), "a block order's shares");
    }
}

static void restore_triggers(Engine *engine, const Rows tables[TABLE_COUNT]) {
    u32 slot;
    EACH_ROW(TriggersRow, row, tables[TABLE_TRIGGERS]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        fits(engine, is_amount(row->stop_price_ticks) && (row->stop_price_ticks || row->trailing_bips) &&
                         row->trailing_bips < BASIS_POINTS && HAS_BIT(CONDITIONAL_KINDS, order_at(engine, slot)->kind),
             "a trigger");
        terms->stop_price_ticks = row->stop_price_ticks;
        terms->trailing_bips = (u16)row->trailing_bips;
    }
}

static int compare_queued(const void *left, const void *right) {
    u64 a = (*(const WaitingRow *const *)left)->queued_seq, b = (*(const WaitingRow *const *)right)->queued_seq;
    return a < b ? -1 : a > b;
}

/* The FIFO's order is that of queued_seq. */
static void restore_waiting(Engine *engine, Rows rows) {
    const size_t size = (rows.count + 1ull) * sizeof(WaitingRow *);
    const WaitingRow **sorted = memory_take(engine, size);
    u32 count = 0, slot;
    EACH_ROW(WaitingRow, row, rows) sorted[count++] = row;
    qsort(sorted, count, sizeof *sorted, compare_queued);
    for (u32 at = 0; at < count; at++) {
        const WaitingRow *row = sorted[at];
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        const Order *order = order_at(engine, slot);
        const bool buys_at_market = order->side == SIDE_BUY && !order->price_ticks;
        fits(engine, has_row(rows, sizeof *row, row->order_id), "a waiting order"); /* or it rests already */
        fits(engine, !terms->waiting && is_amount(row->best_ticks) && is_amount(row->hold_units) && row->accepted_seq,
             "a waiting order");
        fits(engine, !row->hold_units || buys_at_market, "what an order holds");
        terms->accepted_seq = row->accepted_seq;
        terms->hold_units = row->hold_units;
        if (row->waiting == WAITING_CONDITIONAL) {
            fits(engine, HAS_BIT(CONDITIONAL_KINDS, order->kind) && (row->hold_units > 0) == buys_at_market,
                 "what an order waits for");
            fits(engine, !row->queued_seq && (row->best_ticks ? terms->trailing_bips > 0 : terms->stop_price_ticks > 0),
                 "what an order waits for");
            await_trigger(engine, slot, row->best_ticks);
        } else if (row->waiting == WAITING_PENDING) {
            fits(engine, !row->queued_seq && !row->hold_units && !row->best_ticks, "what an order waits for");
            terms->waiting = WAITING_PENDING;
        } else {
            fits(engine, row->waiting == WAITING_TRIGGERED && row->queued_seq, "what an order waits for");
            join_queue(engine, slot, row->queued_seq);
        }
    }
    memory_give(engine, sorted, size);
}

/* The orders stand at their seats already. A working order and those that wait for it are there together. */
static void restore_lists(Engine *engine, Rows rows) {
    EACH_ROW(OrderListsRow, row, rows) {
        const u64 ids[3] = {row->order_id_1, row->order_id_2, row->order_id_3};
        const u32 count = legs_of_kind(row->kind);
        Seat *seat = find_seat(engine, row->account_id, row->market_id);
        fits(engine, seat && count && row->stage >= LIST_STAGE_WORKING && row->stage <= LIST_STAGE_ENTERED &&
                         ids[0] == row->list_id && (ids[2] != 0) == (count == 3) && ids[0] && ids[1], "an order list");
        fits(engine, is_text(row->client_id, sizeof row->client_id), "a list's client id");
        const u32 slot = pool_take(engine, &engine->lists);
        OrderList *list = list_at(engine, slot);
        *list = (OrderList){.count = count, .kind = row->kind, .stage = row->stage, .seat = seat->slot};
        list->fingerprint = row->fingerprint;
        memcpy(list->client_id, row->client_id, sizeof list->client_id);
        for (u32 leg = 0; leg < count; leg++) {
            list->order_ids[leg] = ids[leg];
            const u32 order_slot = find_order_id(engine, ids[leg]);
            if (!order_slot) continue;
            Terms *terms = terms_of(engine, order_at(engine, order_slot));
            fits(engine, !terms->list && !terms->block && order_at(engine, order_slot)->seat == seat->slot, "a list's order");
            terms->list = slot;
            list->legs[leg] = order_slot;
        }
        const u32 open = open_legs(list);
        const bool works = list->legs[0] != 0;
        if (list->kind == LIST_KIND_OCO)
            fits(engine, open && list->stage == LIST_STAGE_ENTERED, "an OCO list");
        else if (list->stage == LIST_STAGE_WORKING)
            fits(engine, open == count, "a list without all its orders");
        else
            fits(engine, open && !works, "a list whose working order has not ended");
        seat->order_lists++;
        if (!list->client_id[0]) continue;
        list_key_of(list->id_key, row->account_id, row->client_id);
        fits(engine, !memcmp(list->id_key, row->id_key, KEY_SIZE), "a list's key");
        const u64 hash = hash_of_key(engine, list->id_key);
        const u32 owner = find_owner(engine, hash, list->id_key);
        fits(engine, !owner || owner & CLOSED, "two lists with one client id");
        own_list_id(engine, hash, slot);
    }
    for (u32 slot = 1; slot < engine->seats.used; slot++)
        for (u32 at = seat_at(engine, slot)->first_order; at; at = order_at(engine, at)->seat_next) {
            const Order *order = order_at(engine, at);
            const u32 list = list_of(engine, order), waiting = waiting_of(engine, order);
            fits(engine, waiting != WAITING_PENDING || (list && holds_nothing(list_at(engine, list), order->order_id)),
                 "a pending order without its list");
            fits(engine, waiting != WAITING_TRIGGERED || HAS_BIT(CONDITIONAL_KINDS, order->kind) ||
                             (list && holds_nothing(list_at(engine, list), order->order_id)), "a triggered order");
            fits(engine, waiting || (!HAS_BIT(CONDITIONAL_KINDS, order->kind) || order->price_ticks), "an order in a book");
        }
}

static void restore_terms(Engine *engine, const Rows tables[TABLE_COUNT]) {
    u32 slot;
    EACH_ROW(ExpiriesRow, row, tables[TABLE_EXPIRIES]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        fits(engine, row->expires_ms > 0 && !terms->expires_ms, "an order's end");
        terms->expires_ms = row->expires_ms;
        terms->accepted_seq = row->accepted_seq;
    }
    EACH_ROW(IcebergsRow, row, tables[TABLE_ICEBERGS]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        fits(engine, is_positive_amount(row->display_lots) && is_amount(row->reserve_lots), "an iceberg's lots");
        fits(engine, !terms->display_lots, "an iceberg stands there twice");
        terms->display_lots = row->display_lots;
        terms->reserve_lots = row->reserve_lots;
        const Order *order = order_at(engine, slot);
        if (row->reserve_lots) {
            const bool waits = has_row(tables[TABLE_PARKED], sizeof(ParkedRow), row->order_id) ||
                               has_row(tables[TABLE_WAITING], sizeof(WaitingRow), row->order_id);
            fits(engine, !waits, "an order that waits hides lots");
            hide_lots(engine, side_of(market_of(engine, order), order->side), order->price_ticks, row->reserve_lots);
        }
    }
    EACH_ROW(PreventedRow, row, tables[TABLE_PREVENTED]) {
        fits(engine, is_positive_amount(row->lots), "an order's prevented lots");
        terms_of_row(engine, row->order_id, &slot)->prevented_lots = row->lots;
    }
    EACH_ROW(AmendedRow, row, tables[TABLE_AMENDED]) {
        fits(engine, is_positive_amount(row->placed_lots), "an order's lots when it was placed");
        terms_of_row(engine, row->order_id, &slot)->placed_lots = row->placed_lots;
    }
    EACH_ROW(AmendsRow, row, tables[TABLE_AMENDS]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        const i64 less = terms->placed_lots - order_at(engine, slot)->quantity_lots;
        fits(engine, row->count && row->count <= AMENDS_MAX && row->count <= less, "how often an order was amended");
        terms->amends = row->count;
    }
    EACH_ROW(ParkedRow, row, tables[TABLE_PARKED]) {
        Terms *terms = terms_of_row(engine, row->order_id, &slot);
        const Order *order = order_at(engine, slot);
        fits(engine, !terms->waiting && row->seq && row->due_ms && row->due_ms <= INT64_MAX, "a parked order's end");
        fits(engine, has_row(tables[TABLE_PARKED], sizeof *row, row->order_id) && order->kind == ORDER_KIND_LIMIT, "a parked order");
        terms->waiting = WAITING_PARKED;
        terms->park_due_ms = row->due_ms;
        terms->parked_seq = row->seq;
    }
    restore_blocks(engine, tables);
    restore_triggers(engine, tables);
    EACH_ROW(OrdersRow, row, tables[TABLE_ORDERS]) start_terms(engine, find_order_id(engine, row->order_id));
}

/* What the engine does not keep but computes must be what the body says. */
static void check_orders(Engine *engine, Rows rows) {
    EACH_ROW(OrdersRow, row, rows) {
        const Order *order = order_at(engine, find_order_id(engine, row->order_id));
        fits(engine, row->filled_lots >= 0 && row->filled_lots == filled_lots(engine, order), "an order's filled lots");
        const bool has_fingerprint = order->client_id[0] || list_of(engine, order);
        fits(engine, row->fingerprint == (has_fingerprint ? fingerprint_of(engine, order) : 0), "an order's fingerprint");
    }
}

static void restore_skips(Engine *engine, Rows rows) {
    EACH_ROW(SkipsRow, row, rows) {
        Market *market = find_market(engine, row->market_id);
        fits(engine, !row->market_id || market, "skipped commands of a market that is not there");
        if (row->market_id)
            market->skips = row->count;
        else
            engine->skips = row->count;
    }
}

/* `engine` is empty but for its tables of client ids, which this makes. */
void read_snapshot(Engine *engine, const u8 *body, size_t size) {
    const u32 version = version_of(engine, body, size);
    if (version < OLDEST_READABLE || version > RULES_VERSION) {
        engine->error.version_found = version;
        engine->error.version_own = RULES_VERSION;
        engine->error.version_oldest = OLDEST_READABLE;
        fail(engine, NBP_UNREADABLE_VERSION, "the body is of rules version %u, this engine has %u", version,
             RULES_VERSION);
    }
    Rows tables[TABLE_COUNT];
    find_tables(engine, body, size, version, tables);
    const HeadRow *head = (const void *)tables[TABLE_HEAD].first;
    fits(engine, head->now_ms < NEVER, "a time after all time");
    fits(engine, head->closed_ids_kept <= CLOSED_IDS_KEPT_MAX, "too many closed client ids to keep");
    engine->seq = head->seq;
    engine->now_ms = head->now_ms;
    engine->last_order_id = head->last_order_id;
    client_ids_init(engine, head->closed_ids_kept);
    restore_closed_ids(engine, tables[TABLE_CLOSED_IDS]);
    restore_relays(engine, tables[TABLE_RELAYS]);
    restore_assets(engine, tables[TABLE_ASSETS]);
    restore_asset_classes(engine, tables[TABLE_ASSET_CLASSES]);
    EACH_ROW(MarketsRow, row, tables[TABLE_MARKETS]) restore_market(engine, row, tables);
    check_rules(engine, tables);
    restore_halts(engine, tables);
    restore_accounts(engine, tables[TABLE_ACCOUNTS], tables[TABLE_BALANCES]);
    restore_holds(engine, tables[TABLE_HOLDS]);
    restore_orders(engine, tables[TABLE_ORDERS], tables[TABLE_PARKED], tables[TABLE_WAITING]);
    restore_rules(engine, tables[TABLE_ALLOCATIONS], tables[TABLE_ALLOCATED_ACCOUNTS]);
    restore_terms(engine, tables);
    restore_waiting(engine, tables[TABLE_WAITING]);
    restore_lists(engine, tables[TABLE_ORDER_LISTS]);
    check_orders(engine, tables[TABLE_ORDERS]);
    EACH_ROW(CancelTimersRow, row, tables[TABLE_CANCEL_TIMERS]) {
        Account *account = find_account(engine, row->account_id);
        fits(engine, account && !account->cancel_timer_seq && row->seq && row->due_ms <= INT64_MAX,
             "an account's timer");
        start_cancel_timer(engine, account, row->due_ms, row->seq);
    }
    restore_skips(engine, tables[TABLE_SKIPS]);
}
