/* The public functions: a pure function (state, commands, time) -> (state, events) (engine.py).

   The cut into calls never matters: process(a + b) equals process(a) then process(b). Each public call that may fail
   begins with ENTER, where fail() comes back to. */
#include "engine.h"

#include <stdlib.h>

#define ENTER(engine)                                                                                                  \
    do {                                                                                                               \
        if (setjmp((engine)->leave)) return (engine)->error.status;                                                    \
    } while (0)

uint32_t nbp_interface(void) { return NBP_INTERFACE; }
uint32_t nbp_rules_version(void) { return RULES_VERSION; }

/* Everything but the ring of client ids. May fail. */
static void engine_init(Engine *engine) {
    table_init(engine, &engine->order_ids);
    table_init(engine, &engine->account_ids);
    table_init(engine, &engine->seat_ids);
    table_init(engine, &engine->balance_ids);
    table_init(engine, &engine->hold_keys);
    table_init(engine, &engine->segment_ids);
    table_init(engine, &engine->family_ids);
    engine->order_window = chunk_take(engine, WINDOW * sizeof *engine->order_window);
}

static Engine *engine_new(u64 hash_seed) {
    Engine *engine = calloc(1, sizeof *engine);
    if (!engine) return NULL;
    engine->hash_seed = hash_seed;
    engine->hash_four = best_hash_four();
    engine->due_ms = NEVER;
    engine->memory_bytes = sizeof *engine;
    pool_init(&engine->orders, sizeof(Order), 12, offsetof(Order, next));
    pool_init(&engine->terms, sizeof(Terms), 10, 0);
    pool_init(&engine->holds, sizeof(KeyedHold), 8, offsetof(KeyedHold, next_free));
    pool_init(&engine->balances, sizeof(Balance), 8, 0);
    pool_init(&engine->accounts, sizeof(Account), 8, 0);
    pool_init(&engine->seats, sizeof(Seat), 8, 0);
    pool_init(&engine->markets_pool, sizeof(Market), 2, 0);
    pool_init(&engine->assets_pool, sizeof(Asset), 4, 0);
    pool_init(&engine->lists, sizeof(OrderList), 6, offsetof(OrderList, seat));
    pool_init(&engine->windows, sizeof(Window), 0, 0);
    pool_init(&engine->segments, sizeof(Segment), 6, offsetof(Segment, root));
    pool_init(&engine->rules, sizeof(AllocationRule), 4, 0);
    pool_init(&engine->blocks, sizeof(BlockOrder), 4, 0);
    pool_init(&engine->inner_nodes, sizeof(InnerNode), 6, 0);
    pool_init(&engine->leaves, sizeof(Leaf), 8, 0);
    pool_init(&engine->hidden_runs, sizeof(HiddenRun), 4, 0);
    pool_init(&engine->members, sizeof(Member), 6, 0);
    pool_init(&engine->timers, sizeof(Timer), 10, 0);
    return engine;
}

nbp_engine *nbp_create(uint32_t closed_ids_kept, uint64_t last_order_id, uint64_t hash_seed) {
    Engine *engine = closed_ids_kept <= CLOSED_IDS_KEPT_MAX ? engine_new(hash_seed) : NULL;
    if (!engine) return NULL;
    if (setjmp(engine->leave)) {
        nbp_free(engine);
        return NULL;
    }
    engine->last_order_id = last_order_id;
    engine_init(engine);
    client_ids_init(engine, closed_ids_kept);
    return engine;
}

#define RESERVED_FROM ((size_t)8 << 20)

nbp_engine *nbp_restore(const uint8_t *body, size_t size, uint64_t hash_seed, nbp_error *error) {
    Engine *engine = engine_new(hash_seed);
    if (!engine) {
        *error = (nbp_error){.status = NBP_OUT_OF_MEMORY, .text = "no memory for an engine"};
        return NULL;
    }
    if (setjmp(engine->leave)) {
        *error = engine->error;
        nbp_free(engine);
        return NULL;
    }
    if (size >= RESERVED_FROM) reserve(engine, size + size / 4); /* about what its state takes */
    engine_init(engine);
    read_snapshot(engine, body, size);
    return engine;
}

int32_t nbp_reserve(nbp_engine *engine, size_t size) {
    ENTER(engine);
    reserve(engine, size);
    return NBP_OK;
}

void nbp_free(nbp_engine *engine) {
    if (!engine) return;
    for (u32 place = 0; place < engine->market_count; place++) free(engine->markets[place]->halts.data);
    Pool *pools[] = {&engine->orders,       &engine->terms,       &engine->holds,       &engine->balances,
                     &engine->accounts,     &engine->seats,       &engine->markets_pool, &engine->assets_pool,
                     &engine->inner_nodes,  &engine->leaves,      &engine->timers,       &engine->rules,
                     &engine->blocks,       &engine->segments,     &engine->windows,      &engine->lists,
                     &engine->hidden_runs,  &engine->members};
    for (size_t at = 0; at < sizeof pools / sizeof *pools; at++) pool_free(engine, pools[at]);
    Table *tables[] = {&engine->order_ids, &engine->account_ids, &engine->seat_ids, &engine->balance_ids,
                       &engine->hold_keys, &engine->segment_ids, &engine->family_ids};
    for (size_t at = 0; at < sizeof tables / sizeof *tables; at++) table_free(engine, tables[at]);
    client_ids_free(engine);
    free_chunks(engine);
    free(engine->markets);
    free(engine->assets);
    free(engine->events.data);
    free(engine->body.data);
    free(engine->scratch.data);
    free(engine->taken.data);
    for (u32 which = 0; which < 2; which++) free(engine->touched[which].data);
    free(engine);
}

/* The command of this frame is the one that is being applied from now on. */
static inline void mark_command(Engine *engine, const CommandHeader *header) {
    if (engine->marker) memcpy(engine->marker, &header->entry_ms, 16);
    engine->cmd_n = header->entry_n;
    engine->cmd_index = header->index;
}

static inline void apply(Engine *engine, const u8 *frame, const Ahead *ahead) {
    switch (frame[1]) {
        case COMMAND_KIND_PLACE_ORDER: place_order(engine, frame, ahead, NULL, NULL, 0); break;
        case COMMAND_KIND_CANCEL_ORDER: cancel_order(engine, frame); break;
        case COMMAND_KIND_TICK: tick(engine); break;
        case COMMAND_KIND_CANCEL_ALL: cancel_all(engine, frame); break;
        case COMMAND_KIND_AMEND_ORDER: amend_order(engine, frame); break;
        case COMMAND_KIND_PLACE_BLOCK: place_block(engine, frame); break;
        case COMMAND_KIND_PLACE_LIST: place_list(engine, frame); break;
        case COMMAND_KIND_REPLACE_ORDER: replace_order(engine, frame); break;
        case COMMAND_KIND_SET_CANCEL_TIMER: set_cancel_timer(engine, frame); break;
        case COMMAND_KIND_CREDIT: relayed(engine, frame, money_credit); break;
        case COMMAND_KIND_DEBIT: relayed(engine, frame, money_debit); break;
        case COMMAND_KIND_HOLD: relayed(engine, frame, money_hold); break;
        case COMMAND_KIND_RELEASE: relayed(engine, frame, money_release); break;
        case COMMAND_KIND_CAPTURE: relayed(engine, frame, money_capture); break;
        case COMMAND_KIND_TRANSFER: relayed(engine, frame, money_transfer); break;
        case COMMAND_KIND_SET_ASSET: relayed(engine, frame, set_asset); break;
        case COMMAND_KIND_SET_MARKET: relayed(engine, frame, set_market); break;
        case COMMAND_KIND_SET_MARKET_STATE: relayed(engine, frame, set_market_state); break;
        case COMMAND_KIND_SET_CLASS_STATE: relayed(engine, frame, set_class_state); break;
        case COMMAND_KIND_SET_ACCOUNT: relayed(engine, frame, set_account); break;
        case COMMAND_KIND_SET_ALLOCATION: relayed(engine, frame, set_allocation); break;
        case COMMAND_KIND_REVIEW_ORDER: relayed(engine, frame, review_order); break;
        default: fail(engine, NBP_INVARIANT_BROKEN, "a command of kind %u has no handler", frame[1]);
    }
}

static inline void process_command(Engine *engine, const u8 *frame, const Ahead *ahead) {
    const CommandHeader *header = (const void *)frame;
    mark_command(engine, header);
    const u64 now_ms = header->entry_ms;
    if (UNLIKELY(now_ms >= NEVER)) fail(engine, NBP_INVARIANT_BROKEN, "a time of %llu ms", (unsigned long long)now_ms);
    if (UNLIKELY(now_ms < engine->now_ms))
        fail(engine, NBP_INVARIANT_BROKEN, "time went back from %llu to %llu", (unsigned long long)engine->now_ms,
             (unsigned long long)now_ms);
    engine->now_ms = now_ms;
    if (UNLIKELY(is_overdue(engine))) run_due(engine);
    apply(engine, frame, ahead);
    if (UNLIKELY(engine->auctions)) tell_prices(engine);
}

/* Block by block: each round is over another block, so that what one asks for has come when the next needs it. */
static void process_blocks(Engine *engine, const u8 *frames, size_t size) {
    Block blocks[ROUNDS + 1];
    Keyless keyless = {.count = 0};
    size_t offset = 0;
    u64 loaded = 0, applied = 0;
    for (u64 step = 0; offset < size || applied < loaded; step++) {
        if (offset < size) {
            Block *block = &blocks[loaded++ % (ROUNDS + 1)];
            block->count = 0;
            for (; block->count < BLOCK && offset < size; offset += (size_t)frames[offset + 2] * FRAME_SIZE)
                block->commands[block->count++].frame = frames + offset;
            look_ahead(engine, block, 0, &keyless);
            if (offset == size) take_keys(engine, &keyless);
        }
        for (u32 round = 1; round < ROUNDS; round++)
            if (step >= round && step - round < loaded)
                look_ahead(engine, &blocks[(step - round) % (ROUNDS + 1)], round, NULL);
        if (step < ROUNDS) continue;
        const Block *block = &blocks[applied++ % (ROUNDS + 1)];
        for (u32 at = 0; at < block->count; at++)
            process_command(engine, block->commands[at].frame, &block->commands[at]);
    }
}

static void take_events(Engine *engine, u64 seq_before, const uint8_t **events, size_t *events_size) {
    if (WITH_EVENTS && engine->seq - seq_before != engine->events.size / EVENT_SIZE)
        fail(engine, NBP_INVARIANT_BROKEN, "event numbers are not gapless");
    *events = engine->events.data;
    *events_size = engine->events.size;
}

int32_t nbp_process(nbp_engine *engine, const uint8_t *frames, size_t size, const uint8_t **events,
                    size_t *events_size) {
    ENTER(engine);
    check_framing(engine, frames, size);
    const u64 seq_before = engine->seq;
    buffer_clear(&engine->events);
    buffer_clear(&engine->body);
    if (size <= FRAME_SIZE) {
        if (size) process_command(engine, frames, NULL);
    } else {
        process_blocks(engine, frames, size);
    }
    take_events(engine, seq_before, events, events_size);
    return NBP_OK;
}

int32_t nbp_submit(nbp_engine *engine, const uint8_t *frames, size_t size, uint8_t *buffer, size_t room,
                   size_t *events_size) {
    const uint8_t *events;
    const int32_t status = nbp_process(engine, frames, size, &events, events_size);
    if (status != NBP_OK) return status;
    if (*events_size > room) return NBP_BUFFER_TOO_SMALL;
    memcpy(buffer, events, *events_size);
    return NBP_OK;
}

const uint8_t *nbp_events(const nbp_engine *engine, size_t *events_size) {
    *events_size = engine->events.size;
    return engine->events.data;
}

/* Timers do not run: they do before the next command that is applied. */
int32_t nbp_skip(nbp_engine *engine, const uint8_t *run, size_t size, uint32_t reason, const uint8_t **events,
                 size_t *events_size) {
    ENTER(engine);
    check_framing(engine, run, size);
    if (!size) fail(engine, NBP_FRAME_ERROR, "there is no command to skip");
    const CommandHeader *header = (const void *)run;
    const u64 seq_before = engine->seq;
    buffer_clear(&engine->events);
    buffer_clear(&engine->body);
    mark_command(engine, header);
    engine->now_ms = header->entry_ms;
    if (engine->now_ms >= NEVER)
        fail(engine, NBP_INVARIANT_BROKEN, "a time of %llu ms", (unsigned long long)engine->now_ms);
    skip_command(engine, run, reason);
    take_events(engine, seq_before, events, events_size);
    return NBP_OK;
}

void nbp_mark_in(nbp_engine *engine, uint8_t *marker) { engine->marker = marker; }

int32_t nbp_snapshot(nbp_engine *engine, const uint8_t **body, size_t *size) {
    ENTER(engine);
    write_snapshot(engine);
    *body = engine->body.data;
    *size = engine->body.size;
    return NBP_OK;
}

int32_t nbp_table(nbp_engine *engine, uint32_t table, const uint8_t **rows, size_t *size) {
    ENTER(engine);
    write_table(engine, table);
    *rows = engine->body.data;
    *size = engine->body.size;
    return NBP_OK;
}

int32_t nbp_validate(nbp_engine *engine) {
    ENTER(engine);
    validate(engine);
    return NBP_OK;
}

uint64_t nbp_seq(const nbp_engine *engine) { return engine->seq; }
const char *nbp_error_text(const nbp_engine *engine) { return engine->error.text; }
uint32_t nbp_market_count(const nbp_engine *engine) { return engine->market_count; }

void nbp_count(const nbp_engine *engine, nbp_counters *counters) {
    *counters = (nbp_counters){
        .seq = engine->seq,
        .now_ms = engine->now_ms,
        .last_order_id = engine->last_order_id,
        .accounts = engine->accounts.live,
        .open_orders = engine->open_orders,
        .holds = engine->holds.live,
        .remembered_client_ids = engine->client_ids.count,
        .skips = engine->skips,
        .cmd_n = engine->cmd_n,
        .cmd_index = engine->cmd_index,
        .memory_bytes = engine->memory_bytes,
    };
}

void nbp_market_at(const nbp_engine *engine, uint32_t position, nbp_market *into) {
    const Market *market = engine->markets[position];
    *into = (nbp_market){
        .market_id = market->market_id,
        .settings_version = market->settings_version,
        .skips = market->skips,
        .state = (u8)market->state,
        .cause = (u8)market->cause,
        .best_bid_ticks = best_price(&market->sides[SIDE_BUY]),
        .best_ask_ticks = best_price(&market->sides[SIDE_SELL]),
        .last_price_ticks = market->last_price_ticks,
        .last_trade_id = market->last_trade_id,
        .bid_levels = market->sides[SIDE_BUY].level_count,
        .ask_levels = market->sides[SIDE_SELL].level_count,
        .until_ms = market->until_ms,
        .reopens_ms = market->reopens_ms,
        .rule_id = market->rule_id,
        .auction_ticks = market->auction.price_ticks,
        .auction_lots = market->auction.lots,
        .halt_up_ticks = market->told.up_ticks,
        .halt_down_ticks = market->told.down_ticks,
    };
    memcpy(into->symbol, market->settings.symbol, sizeof market->settings.symbol);
}

uint32_t nbp_depth(const nbp_engine *engine, uint32_t market_id, uint32_t side, uint32_t limit, nbp_level *levels) {
    Market *market = find_market(engine, market_id);
    if (!market || side > SIDE_SELL) return UINT32_MAX;
    Engine *own = (Engine *)engine; /* looking moves a book's finger, which is no part of the state */
    BookSide *book = side_of(market, side);
    u32 count = 0;
    for (u64 index = book->best; index != NO_INDEX && count < limit; index = index_after(own, book, index))
        levels[count++] = (nbp_level){price_at(book, index), level_at(own, book, index)->lots};
    return count;
}
