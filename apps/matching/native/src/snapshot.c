/* Snapshot body: the whole state as tables of packed rows, the same bytes for the same state (snapshot.py).

   The rows' structs and the order of the tables are generated from TABLES of snapshot.py; one function writes a table. */
#include "engine.h"

#include <stdlib.h>

static int compare_accounts(const void *left, const void *right) {
    u64 a = (*(Account *const *)left)->account_id, b = (*(Account *const *)right)->account_id;
    return a < b ? -1 : a > b;
}

static int compare_balances(const void *left, const void *right) {
    u32 a = (*(Balance *const *)left)->asset_id, b = (*(Balance *const *)right)->asset_id;
    return a < b ? -1 : a > b;
}

static int compare_holds(const void *left, const void *right) {
    return memcmp((*(KeyedHold *const *)left)->key, (*(KeyedHold *const *)right)->key, sizeof((KeyedHold *)0)->key);
}

static int compare_rules(const void *left, const void *right) {
    u32 a = (*(AllocationRule *const *)left)->rule_id, b = (*(AllocationRule *const *)right)->rule_id;
    return a < b ? -1 : a > b;
}

/* What several tables need, sorted once. */
typedef struct Sorted {
    Account **accounts;
    u64 account_count;
    u32 *orders;
    u64 order_count;
} Sorted;

static void sort_accounts(Engine *engine, Sorted *sorted) {
    const u32 used = engine->accounts.used;
    sorted->accounts = memory_take(engine, used * sizeof *sorted->accounts);
    for (u32 slot = 1; slot < used; slot++) sorted->accounts[sorted->account_count++] = account_at(engine, slot);
    qsort(sorted->accounts, sorted->account_count, sizeof *sorted->accounts, compare_accounts);
}

static void free_sorted(Engine *engine, Sorted *sorted) {
    if (sorted->accounts) memory_give(engine, sorted->accounts, engine->accounts.used * sizeof *sorted->accounts);
    if (sorted->orders) memory_give(engine, sorted->orders, (sorted->order_count + 1) * sizeof *sorted->orders);
}

#define ROW(type) ((type *)(void *)memset(buffer_add(engine, &engine->body, sizeof(type)), 0, sizeof(type)))

static void write_head(Engine *engine) {
    HeadRow *row = ROW(HeadRow);
    row->rules_version = RULES_VERSION;
    row->seq = engine->seq;
    row->now_ms = engine->now_ms;
    row->last_order_id = engine->last_order_id;
    row->closed_ids_kept = engine->client_ids.capacity;
}

static void write_relays(Engine *engine) {
    for (u32 place = 0; place < engine->relay_count; place++) {
        RelaysRow *row = ROW(RelaysRow);
        row->source = engine->relays[place].source;
        row->relay_seq = engine->relays[place].relay_seq;
    }
}

static void write_assets(Engine *engine) {
    for (u32 place = 0; place < engine->asset_count; place++) {
        const Asset *asset = engine->assets[place];
        AssetsRow *row = ROW(AssetsRow);
        row->asset_id = asset->asset_id;
        memcpy(row->code, asset->code, sizeof row->code);
        row->external_units = asset->external_units;
        row->fee_units = asset->fee_units;
    }
}

static void write_asset_classes(Engine *engine) {
    for (u32 place = 0; place < engine->asset_count; place++) {
        const Asset *asset = engine->assets[place];
        if (!asset->asset_class[0]) continue;
        AssetClassesRow *row = ROW(AssetClassesRow);
        row->asset_id = asset->asset_id;
        memcpy(row->asset_class, asset->asset_class, sizeof row->asset_class);
    }
}

static void write_market(Engine *engine, const Market *market) {
    const MarketSettings *settings = &market->settings;
    MarketsRow *row = ROW(MarketsRow);
    row->market_id = market->market_id;
    memcpy(row->symbol, settings->symbol, sizeof row->symbol);
    row->base_asset_id = (u32)settings->base_asset_id;
    row->quote_asset_id = (u32)settings->quote_asset_id;
    row->settings_version = market->settings_version;
    row->tick_size = settings->tick_size;
    row->lot_size = settings->lot_size;
    row->initial_price_ticks = settings->initial_price_ticks;
    row->min_price_ticks = settings->min_price_ticks;
    row->max_price_ticks = settings->max_price_ticks;
    row->min_lots = settings->min_lots;
    row->max_lots = settings->max_lots;
    row->market_max_lots = settings->market_max_lots;
    row->min_notional_units = settings->min_notional_units;
    row->max_notional_units = settings->max_notional_units;
    row->bid_down_bp = (u32)settings->bid_down_bp;
    row->bid_up_bp = (u32)settings->bid_up_bp;
    row->ask_down_bp = (u32)settings->ask_down_bp;
    row->ask_up_bp = (u32)settings->ask_up_bp;
    row->max_open_orders = (u32)settings->max_open_orders;
    row->state = (u8)market->state;
    row->cause = (u8)market->cause;
    row->last_price_ticks = market->last_price_ticks;
    row->last_trade_id = market->last_trade_id;
    row->last_agg_id = market->last_agg_id;
    row->last_prevented_id = market->last_prevented_id;
}

static void write_fees(Engine *engine, const Market *market) {
    for (u32 tier = 0; tier < market->settings.fee_count; tier++) {
        FeesRow *row = ROW(FeesRow);
        row->market_id = market->market_id;
        row->tier = (u16)tier;
        row->maker_ppm = market->settings.maker_ppm[tier];
        row->taker_ppm = market->settings.taker_ppm[tier];
    }
}

/* Balances without units have no row. */
static void write_balances(Engine *engine, const Account *account) {
    engine->scratch.size = 0;
    for (u32 slot = account->first_balance; slot; slot = balance_at(engine, slot)->next) {
        Balance *balance = balance_at(engine, slot);
        if (balance->available_units || balance->held_units)
            memcpy(buffer_add(engine, &engine->scratch, sizeof balance), &balance, sizeof balance);
    }
    Balance **found = (Balance **)(void *)engine->scratch.data;
    const size_t count = engine->scratch.size / sizeof *found;
    if (count) qsort(found, count, sizeof *found, compare_balances);
    for (size_t at = 0; at < count; at++) {
        BalancesRow *row = ROW(BalancesRow);
        row->account_id = account->account_id;
        row->asset_id = found[at]->asset_id;
        row->available_units = found[at]->available_units;
        row->held_units = found[at]->held_units;
    }
}

static void write_holds(Engine *engine) {
    engine->scratch.size = 0;
    for (u32 slot = 1; slot < engine->holds.used; slot++) {
        KeyedHold *held = hold_at(engine, slot);
        if (held->amount_units) memcpy(buffer_add(engine, &engine->scratch, sizeof held), &held, sizeof held);
    }
    KeyedHold **found = (KeyedHold **)(void *)engine->scratch.data;
    const size_t count = engine->scratch.size / sizeof *found;
    if (count) qsort(found, count, sizeof *found, compare_holds);
    for (size_t at = 0; at < count; at++) {
        HoldsRow *row = ROW(HoldsRow);
        memcpy(row->key, found[at]->key, sizeof row->key);
        row->account_id = found[at]->account_id;
        row->asset_id = found[at]->asset_id;
        row->amount_units = found[at]->amount_units;
    }
}

static void write_order(Engine *engine, const Order *order) {
    const Seat *seat = seat_of(engine, order);
    OrdersRow *row = ROW(OrdersRow);
    row->order_id = order->order_id;
    row->account_id = seat->account->account_id;
    row->market_id = seat->market->market_id;
    row->side = order->side;
    row->kind = order->kind;
    row->time_in_force = order->time_in_force;
    row->stp_mode = order->stp_mode;
    row->price_ticks = order->price_ticks;
    row->quantity_lots = order->quantity_lots;
    row->left_lots = order->left_lots;
    row->filled_lots = filled_lots(engine, order);
    row->filled_quote_units = order->filled_quote_units;
    row->priority = order->priority;
    memcpy(row->client_id, order->client_id, sizeof row->client_id);
    if (!order->client_id[0] && !list_of(engine, order)) return;
    memcpy(row->id_key, order->id_key, sizeof row->id_key); /* zeros without a client id */
    row->fingerprint = fingerprint_of(engine, order);
}

static void write_closed_ids(Engine *engine) {
    const ClientIds *ids = &engine->client_ids;
    const u64 places = (u64)ids->capacity + 1;
    u8 *rows = buffer_add(engine, &engine->body, ids->count * sizeof(ClosedId));
    for (u64 at = 0; at < ids->count;) {
        const u64 place = (ids->oldest + at) % places;
        u64 run = RING_CHUNK - place % RING_CHUNK;
        if (run > places - place) run = places - place;
        if (run > ids->count - at) run = ids->count - at;
        memcpy(rows + at * sizeof(ClosedId), closed_id_at(engine, (u32)place), run * sizeof(ClosedId));
        at += run;
    }
}

/* The rules of an account, or the accounts in them with their weights. */
static void write_rules(Engine *engine, const Account *account, u32 table) {
    engine->scratch.size = 0;
    for (u32 slot = account->first_rule; slot; slot = rule_at(engine, slot)->next) {
        AllocationRule *rule = rule_at(engine, slot);
        memcpy(buffer_add(engine, &engine->scratch, sizeof rule), &rule, sizeof rule);
    }
    AllocationRule **found = (AllocationRule **)(void *)engine->scratch.data;
    const size_t count = engine->scratch.size / sizeof *found;
    if (count) qsort(found, count, sizeof *found, compare_rules);
    for (size_t at = 0; at < count; at++) {
        const AllocationRule *rule = found[at];
        if (table == TABLE_ALLOCATIONS) {
            AllocationsRow *row = ROW(AllocationsRow);
            row->account_id = account->account_id;
            row->rule_id = rule->rule_id;
            row->method = (u8)rule->method;
            continue;
        }
        for (u32 place = 0; place < rule->count; place++) {
            AllocatedAccountsRow *row = ROW(AllocatedAccountsRow);
            row->account_id = account->account_id;
            row->rule_id = rule->rule_id;
            row->sub_account_id = rule->accounts[place];
            row->weight_bp = rule->weights_bp[place];
        }
    }
}

static void write_block(Engine *engine, u32 table, const Order *order, u32 slot) {
    const BlockOrder *block = block_at(engine, slot);
    if (table == TABLE_BLOCKS) {
        BlocksRow *row = ROW(BlocksRow);
        row->order_id = order->order_id;
        row->rule_id = block->rule_id;
        row->requested_crc = block->requested_crc;
        return;
    }
    for (u32 at = 0; at < block->count; at++) {
        SharesRow *row = ROW(SharesRow);
        row->order_id = order->order_id;
        row->account_id = seat_at(engine, block->shares[at].seat)->account->account_id;
        row->final_lots = block->shares[at].final_lots;
        row->allocated_lots = block->shares[at].allocated_lots;
    }
}

/* Of a window only what still counts now, whether or not what has left was let go already (snapshot_halts.py). */
static void write_window(Engine *engine, const Market *market, Window *window, u32 table) {
    i64 before = window->before;
    for (u32 at = 0; at < window->count; at++) {
        const Bucket *bucket = bucket_at(window, at);
        if (!bucket_counts(window, bucket->k, engine->now_ms)) {
            if (!is_vwap(window)) before = bucket->last;
            continue;
        }
        if (table != TABLE_BREAKER_BUCKETS) continue;
        BreakerBucketsRow *row = ROW(BreakerBucketsRow);
        row->market_id = market->market_id;
        row->rule_id = (u16)window->rule.rule_id;
        row->bucket = bucket->k;
        row->low_ticks = bucket->low;
        row->high_ticks = bucket->high;
        row->last_ticks = bucket->last;
        row->value_high = (u64)(bucket->value >> 64);
        row->value_low = (u64)bucket->value;
        row->lots = (u64)bucket->lots;
    }
    if (table != TABLE_BREAKER_BEFORES || !before) return;
    BreakerBeforesRow *row = ROW(BreakerBeforesRow);
    row->market_id = market->market_id;
    row->rule_id = (u16)window->rule.rule_id;
    row->ticks = before;
}

static void write_halts(Engine *engine, Market *market, u32 table) {
    const u64 *begun_ms;
    fold_prints(engine, market);
    for (u32 at = 0; at < market->breaker.count; at++) {
        Window *window = window_of(engine, &market->breaker, at);
        if (table != TABLE_BREAKERS) {
            write_window(engine, market, window, table);
            continue;
        }
        BreakersRow *row = ROW(BreakersRow);
        row->market_id = market->market_id;
        row->rule_id = (u16)window->rule.rule_id;
        row->measure = (u8)window->rule.measure;
        row->bp = window->rule.bp;
        row->window_ms = window->rule.window_ms;
        row->halt_s = (u16)window->rule.halt_s;
    }
    if (table == TABLE_BREAKER_HALTS) {
        const u32 count = recent_halts(engine, market, &begun_ms);
        for (u32 at = 0; at < count; at++) {
            BreakerHaltsRow *row = ROW(BreakerHaltsRow);
            row->market_id = market->market_id;
            row->begun_ms = begun_ms[at];
        }
    } else if (table == TABLE_MARKET_TIMERS && market->timer_seq) {
        MarketTimersRow *row = ROW(MarketTimersRow);
        row->market_id = market->market_id;
        row->until_ms = market->until_ms;
        row->reopens_ms = market->reopens_ms;
        row->rule_id = (u16)market->rule_id;
        row->seq = market->timer_seq;
    } else if (table == TABLE_HALT_DISTANCES && market->told_ms) {
        HaltDistancesRow *row = ROW(HaltDistancesRow);
        row->market_id = market->market_id;
        row->up_ticks = market->told.up_ticks;
        row->down_ticks = market->told.down_ticks;
        row->up_rule_id = (u16)market->told.up_rule_id;
        row->down_rule_id = (u16)market->told.down_rule_id;
        row->told_ms = market->told_ms;
    } else if (table == TABLE_AUCTIONS && market->state == MARKET_STATE_AUCTION) {
        AuctionsRow *row = ROW(AuctionsRow);
        row->market_id = market->market_id;
        row->extensions = market->extensions;
        row->auction_ticks = market->auction.price_ticks;
        row->auction_lots = market->auction.lots;
    }
}

static int compare_lists(const void *left, const void *right) {
    u64 a = (*(OrderList *const *)left)->order_ids[0], b = (*(OrderList *const *)right)->order_ids[0];
    return a < b ? -1 : a > b;
}

static void write_lists(Engine *engine) {
    engine->scratch.size = 0;
    for (u32 slot = 1; slot < engine->lists.used; slot++) {
        OrderList *list = list_at(engine, slot);
        if (list->count) memcpy(buffer_add(engine, &engine->scratch, sizeof list), &list, sizeof list);
    }
    OrderList **found = (OrderList **)(void *)engine->scratch.data;
    const size_t count = engine->scratch.size / sizeof *found;
    if (count) qsort(found, count, sizeof *found, compare_lists);
    for (size_t at = 0; at < count; at++) {
        const Seat *seat = seat_at(engine, found[at]->seat);
        OrderListsRow *row = ROW(OrderListsRow);
        row->list_id = row->order_id_1 = found[at]->order_ids[0];
        row->order_id_2 = found[at]->order_ids[1];
        row->order_id_3 = found[at]->order_ids[2];
        row->account_id = seat->account->account_id;
        row->market_id = seat->market->market_id;
        row->kind = (u8)found[at]->kind;
        row->stage = (u8)found[at]->stage;
        memcpy(row->client_id, found[at]->client_id, sizeof row->client_id);
        memcpy(row->id_key, found[at]->id_key, sizeof row->id_key);
        row->fingerprint = found[at]->fingerprint;
    }
}

static void write_skips_row(Engine *engine, u32 market_id, u64 count) {
    if (!count) return;
    SkipsRow *row = ROW(SkipsRow);
    row->market_id = market_id;
    row->count = (u32)count;
}

static void write_terms(Engine *engine, u32 table, const Order *order) {
    if (!order->terms) return;
    const Terms *terms = terms_at(engine, order->terms);
    if (table == TABLE_EXPIRIES && terms->expires_ms) {
        ExpiriesRow *row = ROW(ExpiriesRow);
        row->order_id = order->order_id;
        row->expires_ms = terms->expires_ms;
        row->accepted_seq = terms->accepted_seq;
    } else if (table == TABLE_ICEBERGS && terms->display_lots) {
        IcebergsRow *row = ROW(IcebergsRow);
        row->order_id = order->order_id;
        row->display_lots = terms->display_lots;
        row->reserve_lots = terms->reserve_lots;
    } else if (table == TABLE_PREVENTED && terms->prevented_lots) {
        PreventedRow *row = ROW(PreventedRow);
        row->order_id = order->order_id;
        row->lots = terms->prevented_lots;
    } else if (table == TABLE_AMENDED && terms->placed_lots) {
        AmendedRow *row = ROW(AmendedRow);
        row->order_id = order->order_id;
        row->placed_lots = terms->placed_lots;
    } else if (table == TABLE_AMENDS && terms->amends) {
        AmendsRow *row = ROW(AmendsRow);
        row->order_id = order->order_id;
        row->count = terms->amends;
    } else if (table == TABLE_PARKED && terms->waiting == WAITING_PARKED) {
        ParkedRow *row = ROW(ParkedRow);
        row->order_id = order->order_id;
        row->due_ms = terms->park_due_ms;
        row->seq = terms->parked_seq;
    } else if (table == TABLE_TRIGGERS && (terms->stop_price_ticks || terms->trailing_bips)) {
        TriggersRow *row = ROW(TriggersRow);
        row->order_id = order->order_id;
        row->stop_price_ticks = terms->stop_price_ticks;
        row->trailing_bips = terms->trailing_bips;
    } else if (table == TABLE_WAITING && terms->waiting && terms->waiting != WAITING_PARKED) {
        WaitingRow *row = ROW(WaitingRow);
        row->order_id = order->order_id;
        row->waiting = (u8)terms->waiting;
        row->accepted_seq = terms->accepted_seq;
        row->queued_seq = terms->queued_seq;
        row->best_ticks = best_of(engine, terms_at(engine, order->terms));
        row->hold_units = terms->hold_units;
    } else if ((table == TABLE_BLOCKS || table == TABLE_SHARES) && terms->block) {
        write_block(engine, table, order, terms->block);
    }
}

/* Settings that came later, where any of them is not its default: one function for each table of rules. */
#define IS_SET(name, value) || settings->name != (value)
#define SET_COLUMN(name, value) row->name = (__typeof__(row->name))settings->name;
#define RULES_WRITER(name, table, row_type, columns)                                                                   \
    static void write_##name(Engine *engine, const Market *market) {                                                   \
        const MarketSettings *settings = &market->settings;                                                            \
        if (!(false columns(IS_SET))) return;                                                                          \
        row_type *row = ROW(row_type);                                                                                 \
        row->market_id = market->market_id;                                                                            \
        columns(SET_COLUMN)                                                                                            \
    }
RULES_TABLES(RULES_WRITER)

static void write_rows(Engine *engine, u32 table, Sorted *sorted) {
    switch (table) {
        case TABLE_ACCOUNTS: case TABLE_BALANCES: case TABLE_CANCEL_TIMERS: case TABLE_ALLOCATIONS:
        case TABLE_ALLOCATED_ACCOUNTS:
            if (!sorted->accounts) sort_accounts(engine, sorted);
            break;
        case TABLE_ORDERS: case TABLE_EXPIRIES: case TABLE_ICEBERGS: case TABLE_PREVENTED: case TABLE_AMENDED:
        case TABLE_PARKED: case TABLE_BLOCKS: case TABLE_SHARES: case TABLE_TRIGGERS: case TABLE_WAITING:
        case TABLE_AMENDS:
            if (!sorted->orders) sorted->orders = sorted_orders(engine, NULL, NULL, &sorted->order_count);
            break;
    }
    switch (table) {
        case TABLE_HEAD: write_head(engine); break;
        case TABLE_RELAYS: write_relays(engine); break;
        case TABLE_ASSETS: write_assets(engine); break;
        case TABLE_ASSET_CLASSES: write_asset_classes(engine); break;
        case TABLE_MARKETS:
            for (u32 place = 0; place < engine->market_count; place++) write_market(engine, engine->markets[place]);
            break;
        case TABLE_FEES:
            for (u32 place = 0; place < engine->market_count; place++) write_fees(engine, engine->markets[place]);
            break;
        case TABLE_ACCOUNTS:
            for (u64 at = 0; at < sorted->account_count; at++) {
                AccountsRow *row = ROW(AccountsRow);
                row->account_id = sorted->accounts[at]->account_id;
                row->family_id = sorted->accounts[at]->family_id;
                row->fee_tier = (u16)sorted->accounts[at]->fee_tier;
            }
            break;
        case TABLE_BALANCES:
            for (u64 at = 0; at < sorted->account_count; at++) write_balances(engine, sorted->accounts[at]);
            break;
        case TABLE_HOLDS: write_holds(engine); break;
        case TABLE_ORDERS:
            for (u64 at = 0; at < sorted->order_count; at++) write_order(engine, order_at(engine, sorted->orders[at]));
            break;
        case TABLE_CLOSED_IDS: write_closed_ids(engine); break;
        case TABLE_ORDER_LISTS: write_lists(engine); break;
        case TABLE_SKIPS:
            write_skips_row(engine, 0, engine->skips);
            for (u32 place = 0; place < engine->market_count; place++)
                write_skips_row(engine, engine->markets[place]->market_id, engine->markets[place]->skips);
            break;
        case TABLE_EXPIRIES: case TABLE_ICEBERGS: case TABLE_PREVENTED: case TABLE_AMENDED: case TABLE_PARKED: case TABLE_BLOCKS:
        case TABLE_SHARES: case TABLE_TRIGGERS: case TABLE_WAITING: case TABLE_AMENDS:
            if (!engine->terms.live) break;
            for (u64 at = 0; at < sorted->order_count; at++)
                write_terms(engine, table, order_at(engine, sorted->orders[at]));
            break;
        case TABLE_CANCEL_TIMERS:
            for (u64 at = 0; at < sorted->account_count; at++) {
                const Account *account = sorted->accounts[at];
                if (!account->cancel_timer_seq) continue;
                CancelTimersRow *row = ROW(CancelTimersRow);
                row->account_id = account->account_id;
                row->due_ms = account->cancel_due_ms;
                row->seq = account->cancel_timer_seq;
            }
            break;
#define WRITE_RULES(name, table, row_type, columns)                                                                    \
    case table:                                                                                                        \
        for (u32 place = 0; place < engine->market_count; place++) write_##name(engine, engine->markets[place]);       \
        break;
            RULES_TABLES(WRITE_RULES)
        case TABLE_ALLOCATIONS: case TABLE_ALLOCATED_ACCOUNTS:
            for (u64 at = 0; at < sorted->account_count; at++) write_rules(engine, sorted->accounts[at], table);
            break;
        case TABLE_BREAKERS: case TABLE_BREAKER_BEFORES: case TABLE_BREAKER_BUCKETS: case TABLE_BREAKER_HALTS:
        case TABLE_MARKET_TIMERS: case TABLE_HALT_DISTANCES: case TABLE_AUCTIONS:
            for (u32 place = 0; place < engine->market_count; place++) write_halts(engine, engine->markets[place], table);
            break;
        default: fail(engine, NBP_SNAPSHOT_ERROR, "there is no table %u", table);
    }
}

void write_table(Engine *engine, u32 table) {
    Sorted sorted = {0};
    engine->body.size = 0;
    write_rows(engine, table, &sorted);
    free_sorted(engine, &sorted);
}

void write_snapshot(Engine *engine) {
    Sorted sorted = {0};
    engine->body.size = 0;
    memcpy(buffer_add(engine, &engine->body, SNAPSHOT_MAGIC_SIZE), SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_SIZE);
    for (u32 table = 0; table < TABLE_COUNT; table++) {
        const size_t count_at = engine->body.size;
        buffer_add(engine, &engine->body, sizeof(u32));
        const size_t start = engine->body.size;
        write_rows(engine, table, &sorted);
        const u32 count = (u32)((engine->body.size - start) / SNAPSHOT_TABLES[table].row_size);
        memcpy(engine->body.data + count_at, &count, sizeof count);
    }
    free_sorted(engine, &sorted);
}
