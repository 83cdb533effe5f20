/* Everything that the modules share: structures and each module's functions. Mirrors apps/matching/engine by name.

   Layout
       Orders, terms, book nodes and holds live in pools and are linked by 32-bit slots; slot 0 is nothing. Pools grow by
       chunks and never move anything, so accounts, seats, balances, assets and markets are linked by plain pointers.
       All modules are one translation unit (nebannpet_engine.c).

   Invariants
       Little-endian machine, two's complement that wraps, __int128. Prices, lots and units are below 2^62 wherever they
       are stored; what could be more is computed in i128 and refused (OVERFLOW) or an invariant.

   Errors
       Expected refusals are reasons: 0 (REASON_NONE) or the reason. Everything else is fail(), which leaves the public
       call at once; the state is undefined then. */
#ifndef NEBANNPET_INTERNAL_H
#define NEBANNPET_INTERNAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "nebannpet_engine.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

typedef int64_t i64;
typedef int32_t i32;
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef int8_t i8;
__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

#define LIKELY(what) __builtin_expect(!!(what), 1)
#define UNLIKELY(what) __builtin_expect(!!(what), 0)
#define HAS_BIT(mask, number) ((u64)(number) < 64 && ((mask) >> (number) & 1))

/* What a build of its own leaves out, to measure what it costs (tests/benchmarks/bench_parts.py). It is no engine. */
#if defined(BENCH_WITHOUT_EVENTS)
#define WITH_EVENTS 0
#else
#define WITH_EVENTS 1
#endif
#if defined(BENCH_WITHOUT_HOLDS)
#define WITH_HOLDS 0
#else
#define WITH_HOLDS 1
#endif

typedef struct nbp_engine Engine;

_Noreturn void fail(Engine *engine, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- memory.c ------------------------------------------------------------------------------------------------------ */

/* Items of one size in chunks of 2^shift. A freed slot is used again first; its link stands at `link_offset`. */
typedef struct Pool {
    u8 **chunks;
    u32 chunk_count, chunk_room;
    u32 item_size, shift, link_offset;
    u32 used; /* slots ever given out, slot 0 included */
    u32 free_slot;
    u32 live;
} Pool;

void pool_init(Pool *pool, u32 item_size, u32 shift, u32 link_offset);
u32 pool_take(Engine *engine, Pool *pool); /* zeroed */
void pool_give(Pool *pool, u32 slot);
void pool_free(Engine *engine, Pool *pool);

static inline void *pool_at(const Pool *pool, u32 slot) {
    return pool->chunks[slot >> pool->shift] + (size_t)(slot & ((1u << pool->shift) - 1)) * pool->item_size;
}

void *memory_take(Engine *engine, size_t size); /* zeroed; fails the call where there is none */
void memory_give(Engine *engine, void *memory, size_t size);
void *chunk_take(Engine *engine, size_t size); /* zeroed, on a cache line; stays until the engine goes */
void free_chunks(Engine *engine);
void reserve(Engine *engine, size_t size); /* the next chunks come out of memory that is there already */

typedef struct MemoryBlock {
    struct MemoryBlock *before;
    u8 *memory;
    size_t size;
} MemoryBlock;

/* Growing bytes, for events and snapshots. Not counted in memory_bytes. */
typedef struct Buffer {
    u8 *data;
    size_t size, room;
} Buffer;

#define BUFFER_KEPT ((size_t)16 << 20)
void buffer_clear(Buffer *buffer);
void buffer_grow(Engine *engine, Buffer *buffer, size_t more);

static inline u8 *buffer_add(Engine *engine, Buffer *buffer, size_t size) {
    if (UNLIKELY(buffer->room - buffer->size < size)) buffer_grow(engine, buffer, size);
    u8 *place = buffer->data + buffer->size;
    buffer->size += size;
    return place;
}

/* ---- table.c ------------------------------------------------------------------------------------------------------- */

/* Extendible hashing: number by hash. A bucket is the upper half of the hash and a value, which is never 0. */
typedef struct TableSegment {
    u32 depth, used;
    struct TableSegment *next_free;
    u64 unused[6]; /* the buckets begin on a cache line */
    u64 buckets[];
} TableSegment;

typedef struct Table {
    TableSegment **directory; /* 2^depth, several may be the same segment */
    u32 depth;
    u64 count;
} Table;

#define SEGMENT_BITS 9
#define SEGMENT_ROOM (1u << SEGMENT_BITS)

typedef struct Probe {
    const u64 *buckets;
    u32 tag, at;
} Probe;

void table_init(Engine *engine, Table *table);
void table_free(Engine *engine, Table *table);
void table_insert(Engine *engine, Table *table, u64 hash, u32 value); /* the caller knows that it is not there */
void table_remove(Engine *engine, Table *table, u64 hash, u32 value);
void table_replace(Engine *engine, Table *table, u64 hash, u32 value, u32 by);

static inline TableSegment *table_segment(const Table *table, u64 hash) {
    return table->directory[table->depth ? hash >> (64 - table->depth) : 0];
}

static inline Probe table_probe(const Table *table, u64 hash) {
    u32 tag = (u32)(hash >> 32);
    return (Probe){table_segment(table, hash)->buckets, tag, tag & (SEGMENT_ROOM - 1)};
}

/* The next value whose hash has the same upper half, 0 at the end. */
static inline u32 probe_next(Probe *probe) {
    for (;;) {
        u64 bucket = probe->buckets[probe->at];
        if (!bucket) return 0;
        probe->at = (probe->at + 1) & (SEGMENT_ROOM - 1);
        if ((u32)(bucket >> 32) == probe->tag) return (u32)bucket;
    }
}

/* Zero `size` bytes, a constant multiple of 16. Compilers for x86 make a string instruction of memset, whose start alone
   costs more than all of these stores. */
typedef u64 TwoWords __attribute__((vector_size(16), aligned(1), may_alias));
static inline __attribute__((always_inline)) void clear(void *bytes, size_t size) {
    TwoWords *words = bytes;
    for (size_t at = 0; at < size / sizeof *words; at++) {
        words[at] = (TwoWords){0, 0};
        __asm__ volatile("" : : : "memory"); /* or the loop becomes that memset again */
    }
}

static inline u64 mixed(u64 value) { /* the finalizer of splitmix64 */
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9u;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* ---- structures ---------------------------------------------------------------------------------------------------- */

typedef struct Account Account;
typedef struct Ahead Ahead;
typedef void HashFour(Ahead *into[]); /* KEYS_AT_ONCE keys of client ids */
typedef struct Market Market;
typedef struct Seat Seat;

typedef struct Asset {
    u32 asset_id;
    u8 code[16];
    u8 asset_class[16]; /* staff halts the markets of a class at once; all zero for none */
    i64 external_units, fee_units;
    i128 check_units; /* of invariants.c */
} Asset;

typedef struct Balance {
    i64 available_units, held_units;
    u32 asset_id;
    u32 next; /* of the account */
    Account *account;
    u32 check_place; /* of invariants.c */
} Balance;

/* An account in one market: the two balances it trades with and its open orders there, newest first. */
struct Seat {
    Account *account;
    Market *market;
    Balance *base, *quote;
    u32 first_order;
    u32 open_orders, iceberg_orders, conditional_orders, order_lists;
    u32 slot;
    u32 next; /* of the account */
};
_Static_assert(sizeof(void *) != 8 || sizeof(Seat) == 64, "a seat is a cache line");

struct Account {
    u64 account_id, family_id;
    u64 cancel_due_ms, cancel_timer_seq;
    u32 fee_tier;
    u32 timer_place; /* in the heap, 0 without a timer */
    u32 first_seat, first_balance;
    u32 first_rule; /* by which it places block orders */
    u32 open_shares; /* open block orders that hold something of it */
    u32 check_shares; /* of invariants.c */
    u32 slot;
};

/* Who gets how much of a block order, in the order that settles ties; weights are for FIXED only. */
typedef struct AllocationRule {
    u32 rule_id, method, count;
    u32 next; /* of the account */
    u64 accounts[MAX_ALLOCATION_ACCOUNTS];
    u32 weights_bp[MAX_ALLOCATION_ACCOUNTS];
} AllocationRule;

/* What one sub-account is to get of a block order, and what it has got: lots, those without money included. */
typedef struct Share {
    i64 final_lots, allocated_lots;
    u32 seat;
    u32 unused;
} Share;

/* What makes an order a block order: shares above 0, in the order of the rule. */
typedef struct BlockOrder {
    u32 rule_id, requested_crc; /* for the fingerprint */
    u32 count;
    u32 unused;
    Share shares[MAX_ALLOCATION_ACCOUNTS];
} BlockOrder;

/* An account that is in another account's family (families.c). */
typedef struct Member {
    u32 account, next;
} Member;

/* Of a call auction; nothing where nothing crosses. */
typedef struct AuctionPrice {
    i64 price_ticks, lots;
} AuctionPrice;

/* What a level shows after an auction's trades. */
typedef struct Touched {
    i64 price_ticks, lots;
} Touched;

/* The nearest prices that would trip a breaker, and the rules that they would; 0 where there is none. */
typedef struct Distance {
    i64 up_ticks, down_ticks;
    u32 up_rule_id, down_rule_id;
} Distance;

/* What one breaker rule has seen (breaker.c). */
#define WINDOW_ROOM (BREAKER_BUCKETS + 4)
typedef struct Bucket {
    i128 value, lots;
    u64 k;
    i64 low, high, last;
} Bucket;
typedef struct PricePoint {
    u64 k;
    i64 price;
} PricePoint;
typedef struct PriceQueue {
    u32 first, count;
    PricePoint points[WINDOW_ROOM];
} PriceQueue;
typedef struct Window {
    i128 value, lots;
    BreakerRule rule;
    u32 len_ms;
    u32 first, count; /* of the ring of buckets */
    i64 before;
    PriceQueue lows, highs;
    Bucket buckets[WINDOW_ROOM];
} Window;

/* The breakers of one market, by ascending rule id; none where `count` is 0. */
typedef struct Incoming Incoming;
typedef struct Breaker {
    i128 rest_units; /* what the taker would still have traded where a print was forbidden */
    u32 windows[MAX_BREAKER_RULES];
    u32 count;
    u32 tripped, tripped_halt_s; /* the rule that forbade the last print asked for, 0 for none */
    bool has_vwap;
    bool printed; /* by a taker since the windows last forgot */
    const Incoming *taker; /* while its sweep runs; then what it has filled stands below */
    u64 prints_ms;
    i64 from_lots, from_units, filled_lots, filled_units;
    i64 low, high;
    i64 quiet_low, quiet_high;
    u64 quiet_until_ms;
} Breaker;

/* A member of a heap (heap.c): what has the greater key comes first, of equal keys the smaller tie. */
typedef struct HeapLink {
    i64 key;
    u64 tie;
    u32 left, right, up, rank;
} HeapLink;
typedef enum HeapKind { HEAP_OF_ORDERS, HEAP_OF_BESTS, HEAP_OF_FRONTS } HeapKind;

/* Active trailing stops with one best price (trailing.c). */
typedef struct Segment {
    i64 best_ticks;
    Market *market;
    u32 side;
    u32 root, orders; /* a heap by distance, and how many it has */
    u32 joined; /* the larger segment that has taken its orders, 0 while it has its own */
    u32 pointers; /* orders and segments that point at it */
    HeapLink by_best, by_front;
} Segment;

/* All of them of one side in one market: two heaps of the segments. */
typedef struct Trailing {
    u32 bests, fronts;
} Trailing;

/* Orders that depend on one another (order_list.c). */
typedef struct OrderList {
    u64 order_ids[3];
    u32 legs[3]; /* slots of those that are open */
    u32 count, kind, stage, seat;
    u32 fingerprint;
    u32 depth; /* of leave_list: it is given back by the outermost */
    bool is_done;
    u8 client_id[CLIENT_ID_SIZE];
    u8 id_key[KEY_SIZE];
} OrderList;

/* What a print has triggered: its stop price or, while it is collected, the heap's key. */
typedef struct Taken {
    i64 key;
    u64 accepted_seq, order_id;
    u64 slot;
} Taken;

/* What only some orders have (terms.py). */
typedef struct Terms {
    i64 display_lots, expires_ms;
    u64 accepted_seq;
    i64 reserve_lots, prevented_lots, placed_lots;
    u64 park_due_ms, parked_seq;
    i64 stop_price_ticks;
    u16 trailing_bips;
    u16 waiting; /* a Waiting, 0 for an order that stands in a book */
    u32 block; /* slot of the shares of a block order, 0 for every other one */
    i64 hold_units; /* what a conditional market buy holds, 0 for every other order */
    u64 queued_seq; /* of the event that put it into the FIFO; it stays until the order rests or ends */
    HeapLink link; /* while it waits for a print */
    u32 segment; /* of an active trailing stop */
    u32 list; /* that the order is a member of */
    u32 queue_prev, queue_next; /* in the FIFO */
    u32 amends; /* up to AMENDS_MAX */
    u32 timer_place; /* in the heap, 0 without a timer */
} Terms;
_Static_assert(sizeof(Terms) == 152, "what few orders have does not grow unseen");
_Static_assert(BASIS_POINTS <= UINT16_MAX && AMENDS_MAX <= UINT32_MAX, "what Terms hold in fewer bits");

/* An open order; also an incoming one, then outside the pool. Two cache lines, the second for what the sweep does not
   read. order_id is 0 in a slot that is not in use. filled_lots() says what is filled. No client id: client_id[0] is 0. */
typedef struct Order {
    u64 order_id;
    i64 price_ticks, quantity_lots;
    i64 left_lots; /* what shows: of an iceberg the tip */
    i64 filled_quote_units;
    u32 prev, next; /* at its level */
    u32 seat;
    u32 terms; /* 0 for an order that has nothing of them */
    u8 side, kind, time_in_force, stp_mode;
    u32 seat_next;
    u64 priority; /* seq of the event that gave it its place */
    u8 client_id[CLIENT_ID_SIZE];
    u32 seat_prev;
    u8 id_key[KEY_SIZE];
} Order;
_Static_assert(sizeof(Order) == 128, "an order is two cache lines");

/* All orders at one price, oldest first. No empty level stays. What they hide stands in the leaf (book.c). */
typedef struct Level {
    i64 lots;
    u32 head, tail;
} Level;

/* Bids or asks of one market (book.c). A level's index is its price, on the bid side all bits of it turned over, so
   that on both sides the smallest index is the best. */
typedef struct BookSide {
    u64 flip; /* price ^ flip = index */
    u64 best; /* index; NO_INDEX where the side is empty */
    u32 root;
    u32 bits; /* of an index */
    u32 finger; /* the lowest inner node that was used last */
    u32 side;
    u64 finger_at; /* its indexes >> RUN_BITS; NO_INDEX for none */
    u64 level_count;
} BookSide;

#define NO_INDEX UINT64_MAX

struct Market {
    u32 market_id, settings_version;
    i64 unit_factor, lot_size;
    i64 last_price_ticks; /* 0 before the first trade */
    u64 last_trade_id, last_agg_id, last_prevented_id;
    u32 state, cause, skips, slot;
    u64 until_ms, reopens_ms; /* when a timer ends the state, 0 for none */
    u32 rule_id; /* of the breaker that halted it, 0 for none */
    u32 fall, rise; /* heaps of the orders that wait for a print (conditional.c) */
    Trailing trailing[2]; /* by side */
    i64 trigger_low, trigger_high; /* a print between them triggers nothing */
    u32 queue_first, queue_last; /* the FIFO of triggered orders */
    u64 open_orders;
    u64 timer_seq; /* of the event that brought the state, where a timer ends it */
    u32 timer_place;
    Buffer halts; /* when breaker halts began, oldest first, as far as they may still count */
    Breaker breaker;
    Distance told; /* the last HALT_DISTANCE and its time, 0 before the first */
    u64 told_ms;
    AuctionPrice auction; /* the last AUCTION_PRICE; nothing outside AUCTION */
    u32 extensions; /* how often the call phase went on */
    bool is_touched; /* of tell_prices() */
    Asset *base_asset, *quote_asset;
    BookSide sides[2]; /* SIDE_BUY, SIDE_SELL */
    i32 maker_ppm[MAX_FEE_TIERS], taker_ppm[MAX_FEE_TIERS]; /* by tier of the account */
    MarketSettings settings;
};

typedef struct KeyedHold {
    u8 key[64];
    u64 account_id;
    i64 amount_units;
    u32 asset_id;
    u32 next_free;
} KeyedHold;

/* What is due at a time. `slot` is that of the subject in its pool. */
enum { TIMER_ORDER, TIMER_ACCOUNT, TIMER_MARKET };
typedef struct Timer {
    i64 due_ms;
    u64 seq; /* of the event that created it */
    u32 slot, subject;
} Timer;

/* One record of the ring of closed client ids, as in the snapshot. */
typedef struct ClosedId {
    u8 id_key[KEY_SIZE];
    u32 fingerprint;
    u32 order_id[2];
} ClosedId;
_Static_assert(sizeof(ClosedId) == sizeof(ClosedIdsRow), "the ring's records are those of the snapshot");

typedef struct ClientIds {
    Table owners; /* an order's slot, CLOSED and a place of the ring, or LISTED and a list's slot */
    ClosedId **chunks;
    u64 chunk_count;
    u32 capacity;
    u64 oldest, count; /* place of the oldest record, number of records */
} ClientIds;

typedef struct Relay {
    u16 source;
    u64 relay_seq;
} Relay;

struct nbp_engine {
    /* the journal (journal.c) */
    u64 seq, now_ms;
    u32 cmd_n, cmd_index;
    Buffer events;
    u64 seq_before;
    u8 *marker;

    i64 due_ms; /* of the first timer (timers.c) */
    u64 last_order_id;
    u64 hash_seed;
    HashFour *hash_four; /* the fastest for this machine (client_ids.c) */

    Pool orders, terms, holds, balances, accounts, seats, markets_pool, assets_pool;
    Pool lists;
    Pool windows; /* of breakers */
    Pool segments; /* of trailing stops */
    Pool rules, blocks; /* of block orders (allocation.c) */
    Pool inner_nodes, leaves, hidden_runs; /* of the books */
    Pool members; /* of families */
    Pool timers; /* a heap; slot 1 is its first entry */
    u32 timer_count;

    u32 *order_window; /* the slots of the newest ids (order_ids.c) */
    Table order_ids, account_ids, seat_ids, balance_ids, hold_keys, segment_ids, family_ids;
    ClientIds client_ids;

    Market **markets; /* by id */
    Asset **assets; /* by id */
    u32 market_count, asset_count;
    Relay relays[8]; /* by source */
    u32 relay_count;
    u64 skips; /* of commands without a market (poison.c) */
    u64 open_orders;
    u32 auctions; /* markets in AUCTION, whose prices are told up to this event: */
    u64 auctions_seen;

    Buffer body; /* of the last snapshot or table */
    Buffer scratch; /* of one function at a time */
    Buffer taken; /* what a print triggers */
    Buffer touched[2]; /* levels, by side */
    MemoryBlock *memory_blocks;
    u8 *block_at, *block_ready; /* up to there its pages have been asked for */
    size_t block_left;
    TableSegment *free_segments;
    u64 memory_bytes;
    jmp_buf leave;
    nbp_error error;
};

static inline Order *order_at(const Engine *engine, u32 slot) {
    return &((Order *)(void *)engine->orders.chunks[slot >> 12])[slot & 4095];
}
static inline Terms *terms_at(const Engine *engine, u32 slot) { return pool_at(&engine->terms, slot); }
static inline Seat *seat_at(const Engine *engine, u32 slot) { return pool_at(&engine->seats, slot); }
static inline Balance *balance_at(const Engine *engine, u32 slot) { return pool_at(&engine->balances, slot); }
static inline Account *account_at(const Engine *engine, u32 slot) { return pool_at(&engine->accounts, slot); }
static inline Segment *segment_at(const Engine *engine, u32 slot) { return pool_at(&engine->segments, slot); }
static inline Seat *seat_of(const Engine *engine, const Order *order) { return seat_at(engine, order->seat); }
static inline Market *market_of(const Engine *engine, const Order *order) { return seat_of(engine, order)->market; }
static inline Account *account_of(const Engine *engine, const Order *order) { return seat_of(engine, order)->account; }

static inline Member *member_at(const Engine *engine, u32 slot) { return pool_at(&engine->members, slot); }

/* An order on its way through its checks and its sweep. A new one stands outside the pool, and its terms come into being
   when it is accepted; one that was waiting has its `slot`. */
struct Incoming {
    Order *order;
    u32 slot;
    u32 waiting; /* what it will wait for, if the checks that follow let it in */
    Seat *seat;
    i64 budget_units; /* quote; the order has no quantity then */
    i64 display_lots, expires_ms, stop_price_ticks;
    u32 trailing_bips;
    u32 settings_version;
    i64 filled_lots; /* of an order with a budget, which has no quantity to count from */
    u64 id_hash;
    const Ahead *ahead;
    const StrategyFrame *strategy; /* NULL; for ORDER_ACCEPTED */
};
static inline bool has_terms(const Incoming *incoming) { return incoming->display_lots || incoming->expires_ms; }
_Static_assert(sizeof(Incoming) % 16 == 0, "clear() takes whole pairs of words");

/* ---- accounts.c: accounts, balances, seats, assets ---------------------------------------------------------------- */
Account *find_account(Engine *engine, u64 account_id); /* NULL */
Account *new_account(Engine *engine, u64 account_id, u64 family_id, u32 fee_tier);
Balance *balance_of(Engine *engine, Account *account, u32 asset_id); /* made on first use */
Seat *find_seat(Engine *engine, u64 account_id, u32 market_id); /* NULL */
Seat *take_seat(Engine *engine, Account *account, Market *market);
Asset *find_asset(Engine *engine, u32 asset_id);
Asset *new_asset(Engine *engine, u32 asset_id);
bool has_open_orders(Engine *engine, const Account *account);
u32 first_member(const Engine *engine, u64 family_id); /* 0 */
void join_family(Engine *engine, Account *account, u64 family_id);

/* ---- market.c ------------------------------------------------------------------------------------------------------ */
Market *find_market(const Engine *engine, u32 market_id);
Market *new_market(Engine *engine, const MarketSettings *settings, Asset *base, Asset *quote);
void apply_settings(Engine *engine, Market *market, const MarketSettings *settings);
static inline i64 reference_price(const Market *market) {
    return market->last_price_ticks ? market->last_price_ticks : market->settings.initial_price_ticks;
}
static inline BookSide *side_of(Market *market, u32 side) { return &market->sides[side]; }
static inline BookSide *opposite(Market *market, u32 side) { return &market->sides[side ^ 1]; }
bool market_is_empty(const Market *market);
bool is_crossed(const Market *market);

/* ---- book.c -------------------------------------------------------------------------------------------------------- */
void side_init(BookSide *side, u32 which);
i64 best_price(const BookSide *side); /* 0 where the side is empty */
Level *level_at(Engine *engine, BookSide *side, u64 index); /* which must exist */
u64 index_after(Engine *engine, BookSide *side, u64 index); /* the next worse level, NO_INDEX after the last */
i64 book_add(Engine *engine, BookSide *side, u32 slot); /* at the back of its level; the level's lots then */
i64 book_remove(Engine *engine, BookSide *side, u32 slot); /* the lots that its level still has */
void drop_level(Engine *engine, BookSide *side, u64 index); /* an empty one */
i64 hidden_lots(Engine *engine, BookSide *side, u64 index); /* the reserves of a level's icebergs */
void hide_lots(Engine *engine, BookSide *side, i64 price_ticks, i64 more);
static inline i64 price_at(const BookSide *side, u64 index) { return (i64)(index ^ side->flip); }
static inline u64 index_of(const BookSide *side, i64 price_ticks) { return (u64)price_ticks ^ side->flip; }

/* ---- open_orders.c: the orders that stand in a book, at their seat, and as their client id's owner ----------------- */
u32 new_order(Engine *engine, const Order *order); /* its slot in the pool */
i64 rest_order(Engine *engine, u32 slot, u64 id_hash); /* the lots of its level then */
void wait_order(Engine *engine, u32 slot, u64 id_hash); /* without a place in a book; its terms say what it waits for */
void start_terms(Engine *engine, u32 slot); /* what its terms ask of others: its timer, its seat's count of icebergs */
Incoming incoming_of(Engine *engine, u32 slot); /* an open order on its way into the market */
void leave_at_entry(Engine *engine, Incoming *incoming); /* it has ended without coming to rest */
Incoming recall_order(Engine *engine, u32 slot); /* it waits no longer and is on its way into the book; it keeps its id */
void drop_incoming(Engine *engine, Incoming *incoming); /* it has ended without coming to rest; after its last event */
void forget_order(Engine *engine, u32 slot); /* it has left its level for good */
i64 withdraw_order(Engine *engine, u32 slot); /* the lots that its level still has */
void free_order(Engine *engine, u32 slot); /* after its last event */
void end_resting(Engine *engine, u32 slot, u32 status, u32 reason, const u8 *cancel_client_id); /* NULL for no id */
void end_order(Engine *engine, u32 slot, u32 status, u32 reason, const u8 *cancel_client_id); /* by itself */
void end_all(Engine *engine, const u32 *slots, u64 count, u32 status, u32 reason); /* a list whole at its first member */
u32 *sorted_orders(Engine *engine, Account *account, Market *market, u64 *count); /* by id; NULL for all of either */

/* ---- order_ids.c --------------------------------------------------------------------------------------------------- */
u64 take_order_id(Engine *engine);
u32 find_order_id(Engine *engine, u64 order_id); /* 0 */
void put_order_id(Engine *engine, u64 order_id, u32 slot);
void drop_order_id(Engine *engine, u64 order_id, u32 slot);

/* ---- terms --------------------------------------------------------------------------------------------------------- */
Terms *terms_of(Engine *engine, Order *order); /* made on first use */
static inline void take_terms(Terms *terms, const Incoming *incoming) { /* what the order asks */
    terms->display_lots = incoming->display_lots;
    terms->expires_ms = incoming->expires_ms;
    terms->stop_price_ticks = incoming->stop_price_ticks;
    terms->trailing_bips = (u16)incoming->trailing_bips; /* its filters are passed */
    terms->waiting = (u16)incoming->waiting;
}
static inline i64 reserve_of(const Engine *engine, const Order *order) {
    return order->terms ? terms_at(engine, order->terms)->reserve_lots : 0;
}
/* What may still be filled, an iceberg's reserve included. */
static inline i64 open_lots(const Engine *engine, const Order *order) {
    return order->left_lots + reserve_of(engine, order);
}
static inline i64 prevented_of(const Engine *engine, const Order *order) {
    return order->terms ? terms_at(engine, order->terms)->prevented_lots : 0;
}
/* Of an order with a quantity; filled_by() of any taker. */
static inline i64 filled_lots(const Engine *engine, const Order *order) {
    return order->quantity_lots - open_lots(engine, order) - prevented_of(engine, order);
}

static inline i64 filled_by(const Engine *engine, const Incoming *incoming) {
    return incoming->budget_units ? incoming->filled_lots : filled_lots(engine, incoming->order);
}

/* ---- order_list.c, lists.c, pending.c ------------------------------------------------------------------------------ */
static inline OrderList *list_at(const Engine *engine, u32 slot) { return pool_at(&engine->lists, slot); }
static inline u32 list_of(const Engine *engine, const Order *order) {
    return order->terms ? terms_at(engine, order->terms)->list : 0;
}
u32 legs_of_kind(u32 kind);
u32 open_legs(const OrderList *list);
bool holds_nothing(const OrderList *list, u64 order_id);
u32 sibling_of(const OrderList *list, u64 order_id);
i64 need_of_whole(const Engine *engine, const Order *order);
bool shares_hold(const Engine *engine, const Order *order, i64 *units);
void leave_list(Engine *engine, u32 slot, u64 order_id, u32 status, u32 reason);
void end_sibling(Engine *engine, u32 slot, u64 order_id);
void enter_pending(Engine *engine, u32 list_slot);

/* ---- breaker.c, halt.c --------------------------------------------------------------------------------------------- */
void renew_breaker(Engine *engine, Market *market);
void drop_breaker(Engine *engine, Market *market);
void restart_breaker(Engine *engine, Market *market);
void fold_prints(Engine *engine, Market *market);
void sweep_ended(Engine *engine, Breaker *breaker, const Incoming *incoming);
bool admit_print(Engine *engine, const Incoming *incoming, i64 price_ticks, i64 *limit_ticks);
bool try_print(Engine *engine, const Incoming *incoming, i64 *first_ticks, i64 price_ticks, i128 own_lots, i128 own_units,
               i64 *limit_ticks);
void trip_breaker(Engine *engine, Market *market);
u32 recent_halts(const Engine *engine, const Market *market, const u64 **begun_ms);
void add_halt(Engine *engine, Market *market, u64 begun_ms);
void move_market(Engine *engine, Market *market, u32 new_state, u32 cause, u64 relay_seq, u32 source, u64 until_ms,
                 u64 reopens_ms, u32 rule_id);
void end_phase(Engine *engine, Market *market);
Distance distance_to_halt(Engine *engine, Market *market);
void tick(Engine *engine);

/* ---- auction.c, uncross.c, call_phase.c ---------------------------------------------------------------------------- */
AuctionPrice auction_price(Engine *engine, Market *market);
AuctionPrice tell_price(Engine *engine, Market *market);
void tell_prices(Engine *engine);
bool is_outside_collar(const Market *market, i64 price_ticks);
void expire_overdue(Engine *engine, Market *market);
void pair_orders(Engine *engine, Market *market, AuctionPrice at);
u32 meets_family(Engine *engine, const Incoming *incoming); /* 0 */

/* ---- timers.c, expiry.c, cancel_timer.c, due.c --------------------------------------------------------------------- */
i64 first_due(const Engine *engine);
void add_timer(Engine *engine, i64 due_ms, u64 seq, u32 subject, u32 slot);
void stop_timer(Engine *engine, u32 subject, u32 slot);
static inline bool is_overdue(const Engine *engine) { return engine->due_ms <= (i64)engine->now_ms; }
void run_due(Engine *engine);
static inline bool has_expired(const Engine *engine, const Order *order) {
    if (!order->terms) return false;
    i64 expires_ms = terms_at(engine, order->terms)->expires_ms;
    return expires_ms > 0 && expires_ms <= (i64)engine->now_ms;
}
void expire_order(Engine *engine, u32 slot);
void start_cancel_timer(Engine *engine, Account *account, u64 due_ms, u64 seq);
void fire_cancel_timer(Engine *engine, Account *account);

/* ---- heap.c, conditional.c, trailing.c, triggers.c, triggered.c ---------------------------------------------------- */
u32 heap_join(Engine *engine, HeapKind kind, u32 one, u32 other);
void heap_add(Engine *engine, HeapKind kind, u32 *root, u32 slot, i64 key, u64 tie);
void heap_remove(Engine *engine, HeapKind kind, u32 *root, u32 slot);
i64 stop_key(u32 side, i64 best_ticks, u32 bips);
u32 segment_of(Engine *engine, Terms *terms);
i64 best_of(Engine *engine, Terms *terms); /* best last price since activation, 0 for what does not trail */
void add_trailing(Engine *engine, u32 order_slot, i64 best_ticks);
void remove_trailing(Engine *engine, u32 order_slot);
void follow_price(Engine *engine, Market *market, u32 side, i64 price_ticks);
void take_trailing(Engine *engine, Market *market, u32 side, i64 price_ticks, Buffer *taken);
bool is_met(const Order *order, i64 stop_price_ticks, i64 price_ticks);
bool triggers_at(Engine *engine, const Order *order, i64 price_ticks);
void await_trigger(Engine *engine, u32 slot, i64 best_ticks);
void stop_waiting(Engine *engine, u32 slot);
void take_conditional(Engine *engine, Market *market, i64 price_ticks);
void join_queue(Engine *engine, u32 slot, u64 seq);
void leave_queue(Engine *engine, u32 slot);
void evaluate(Engine *engine, Market *market, i64 price_ticks);
void run_triggered(Engine *engine, Market *market);

/* ---- parking.c, review.c ------------------------------------------------------------------------------------------- */
bool may_park(const Incoming *incoming);
void park_order(Engine *engine, Incoming *incoming, u32 slot);
void end_review(Engine *engine, u32 slot);
u32 review_order(Engine *engine, const u8 *frame);
static inline u32 waiting_of(const Engine *engine, const Order *order) {
    return order->terms ? terms_at(engine, order->terms)->waiting : 0;
}

/* ---- client_ids.c -------------------------------------------------------------------------------------------------- */
#define CLOSED 0x80000000u
#define LISTED 0x40000000u /* and the slot of an order list */
void list_key_of(u8 key[KEY_SIZE], u64 account_id, const u8 *client_id); /* another namespace */
void own_list_id(Engine *engine, u64 hash, u32 slot);
void key_of(u8 key[KEY_SIZE], u64 account_id, const u8 *client_id);
u64 hash_of_key(const Engine *engine, const u8 *key);
u32 fingerprint_of(const Engine *engine, const Order *order); /* of an open order */
u32 fingerprint_of_incoming(const Engine *engine, const Incoming *incoming);
u32 find_owner(Engine *engine, u64 hash, const u8 *key); /* an order's slot, CLOSED and a place, or 0 */
ClosedId *closed_id_at(const Engine *engine, u32 place);
void own_client_id(Engine *engine, u64 hash, u32 slot);
void remember(Engine *engine, u32 slot, const Order *order, u32 fingerprint); /* slot: 0 unless it owns its id */
void remember_incoming(Engine *engine, const Incoming *incoming);
void put_closed_id(Engine *engine, const u8 *key, u32 fingerprint, u64 order_id, u32 owner, u64 hash);
void client_ids_init(Engine *engine, u32 capacity);
void client_ids_free(Engine *engine);

/* ---- lookahead.c --------------------------------------------------------------------------------------------------- */
#define BLOCK 8u /* commands */
#define ROUNDS 4u
#define KEYS_AT_ONCE 4
struct Ahead {
    const u8 *frame;
    u64 hash, id_hash;
    u8 id_key[KEY_SIZE]; /* of a new order with a client id */
    u32 slot; /* of the seat, or of the order to cancel */
    u32 other; /* slot of the order that will be met first */
    const Level *level; /* where a new order will stand, NULL where it will not or where there is none yet */
};
typedef struct Block {
    Ahead commands[BLOCK];
    u32 count;
} Block;
typedef struct Keyless { /* new orders whose keys are still to be computed */
    Ahead *commands[KEYS_AT_ONCE];
    u32 count;
} Keyless;
void look_ahead(Engine *engine, Block *block, u32 round, Keyless *keyless); /* `keyless` is for round 0 */
void take_keys(Engine *engine, Keyless *keyless);
void keys_of(const Engine *engine, Ahead *into[KEYS_AT_ONCE]); /* from their PlaceOrder frames */
Level *find_level(Engine *engine, BookSide *side, i64 price_ticks); /* where it stands or will, NULL where there is no leaf */

/* ---- the order of work --------------------------------------------------------------------------------------------- */
#define ANSWERED 0x100u /* the command has been answered already: a duplicate, or a cancel that failed */
typedef u32 Proceed(Engine *engine, Incoming *incoming, const void *context); /* a reason, ANSWERED, or 0 */
/* `ahead` may be NULL. */
void place_order(Engine *engine, const u8 *frame, const Ahead *ahead, Proceed *proceed, const void *context,
                 u32 block);
void replace_order(Engine *engine, const u8 *frame);
void place_block(Engine *engine, const u8 *frame);
void place_list(Engine *engine, const u8 *frame);
void read_order(Seat *seat, const PlaceOrderFrame *frame, const u8 *client_id, Order *order, Incoming *incoming);
void cancel_order(Engine *engine, const u8 *frame);
void cancel_all(Engine *engine, const u8 *frame);
void amend_order(Engine *engine, const u8 *frame);
void set_cancel_timer(Engine *engine, const u8 *frame);
u32 find_order(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id); /* slot, 0 */
bool replace_named(Engine *engine, const ReplaceOrderFrame *frame);

/* The steps of a kind (order_kinds.py): format; filters and band; the rest, from the account's limits on; the last part of
   it alone, for an order that has its id and its hold since it was accepted. */
typedef struct KindRules {
    bool (*is_well_formed)(const Incoming *incoming);
    u32 (*fault)(Engine *engine, Incoming *incoming);
    u32 (*place)(Engine *engine, Incoming *incoming);
    void (*enter)(Engine *engine, Incoming *incoming);
} KindRules;
const KindRules *rules_of_kind(u32 kind); /* NULL */
static inline u32 becomes(u32 kind) { return BECOMES[kind]; }
bool stop_limit_is_well_formed(const Incoming *incoming);
bool stop_market_is_well_formed(const Incoming *incoming);
u32 stop_limit_fault(Engine *engine, Incoming *incoming);
u32 stop_market_fault(Engine *engine, Incoming *incoming);
u32 place_conditional(Engine *engine, Incoming *incoming);
bool limit_has_form(const Incoming *incoming); /* but for a trigger */
bool limit_is_well_formed(const Incoming *incoming);
bool maker_is_well_formed(const Incoming *incoming);
u32 limit_order_fault(Engine *engine, Incoming *incoming);
u32 place_limit(Engine *engine, Incoming *incoming);
void match_and_rest(Engine *engine, Incoming *incoming);
bool market_is_well_formed(const Incoming *incoming);
u32 market_order_fault(Engine *engine, Incoming *incoming);
u32 place_market(Engine *engine, Incoming *incoming);
void enter_market(Engine *engine, Incoming *incoming);
void enter_unheld(Engine *engine, Incoming *incoming);
i128 buffered_units(const Incoming *incoming);
u32 conditional_orders_fault(const Seat *seat, u32 count);

/* ---- filters.c, band.c, states.c ----------------------------------------------------------------------------------- */
u32 limit_fault(const Incoming *incoming);
u32 market_quantity_fault(const Incoming *incoming);
u32 market_lots_fault(const Incoming *incoming, i64 price_ticks);
u32 expiry_fault(const Engine *engine, const Incoming *incoming);
u32 market_budget_fault(const Incoming *incoming);
u32 amends_fault(const Engine *engine, const Order *order);
u32 smaller_fault(const Engine *engine, const Order *order, i64 quantity_lots);
u32 account_limits_fault(const Incoming *incoming);
u32 band_fault(const Incoming *incoming);
u32 entry_fault(Engine *engine, Incoming *incoming);

/* ---- reach.c ------------------------------------------------------------------------------------------------------- */
typedef struct Prints {
    i128 lots, quote_units;
} Prints;
#define NO_LIMIT(side) ((side) == SIDE_BUY ? INT64_MAX : 0)
/* A price within the limit of a taker of `side`. */
static inline bool within(u32 side, i64 price_ticks, i64 limit_ticks) {
    return side == SIDE_BUY ? price_ticks <= limit_ticks : price_ticks >= limit_ticks;
}
bool meets_book(Market *market, const Order *order);
bool would_match(Engine *engine, Market *market, const Order *order);
Prints would_print(Engine *engine, const Incoming *incoming, i64 limit_ticks, i64 budget_units);

/* ---- sweep.c, selftrade.c, budget.c, iceberg.c --------------------------------------------------------------------- */
/* What may be spent. `capped`: the order also has a quantity, at which it ends. */
typedef struct Budget {
    const Incoming *incoming;
    i64 units;
    bool capped;
    i64 prevented_units, spent_before_prevention;
} Budget;
static inline i64 budget_rest(const Budget *budget) {
    return budget->units - budget->incoming->order->filled_quote_units - budget->prevented_units;
}
/* Why it stopped, 0 at its limit or when it is filled (sweep.py). */
u32 sweep(Engine *engine, Incoming *incoming, i64 limit_ticks, Budget *budget);
void prevent_match(Engine *engine, Incoming *incoming, u32 maker_slot, i64 wanted_lots, Budget *budget);
static inline bool ends_taker(u32 stp_mode) {
    return stp_mode == STP_MODE_EXPIRE_TAKER || stp_mode == STP_MODE_EXPIRE_BOTH;
}
u32 iceberg_fault(const Incoming *incoming);
void hide_reserve(Engine *engine, Order *order);
void refill(Engine *engine, BookSide *side, Level *level, u32 slot);

/* ---- funds.c ------------------------------------------------------------------------------------------------------- */
static inline Balance *pays_with(const Engine *engine, const Order *order) {
    Seat *seat = seat_of(engine, order);
    return order->side == SIDE_BUY ? seat->quote : seat->base;
}
i64 need_units(const Engine *engine, const Order *order); /* what a resting limit order holds */
i64 units_for(const Market *market, const Order *order, i64 lots); /* what `lots` of it hold */
bool hold_for(Engine *engine, Incoming *incoming);
void release_for(Engine *engine, Order *order);
void release_lots(Engine *engine, const Order *order, i64 lots);
void hold(Engine *engine, Balance *balance, i64 units);
void release(Engine *engine, Balance *balance, i64 units);
static inline u32 block_of(const Engine *engine, const Order *order) {
    return order->terms ? terms_at(engine, order->terms)->block : 0;
}

/* ---- allocation.c, shares.c, block.c ------------------------------------------------------------------------------- */
/* Lots that a share gets in one step, and its part of the fee or rebate of it. `share` is NULL for a party that is no
   block order. */
typedef struct Payment {
    Share *share;
    Seat *seat;
    i64 lots, fee_units, rebate_units;
} Payment;
typedef struct Payments {
    Payment each[MAX_ALLOCATION_ACCOUNTS];
    u32 count;
} Payments;
static inline BlockOrder *block_at(const Engine *engine, u32 slot) { return pool_at(&engine->blocks, slot); }
static inline AllocationRule *rule_at(const Engine *engine, u32 slot) { return pool_at(&engine->rules, slot); }
void largest_remainder(i64 *parts, i64 total, const i64 *weights, u32 count);
void allocate(Engine *engine, u32 block, i64 lots, Payments *portions);
u32 find_rule(const Engine *engine, const Account *account, u32 rule_id);
void put_rule(Engine *engine, Account *account, const AllocationRule *rule);
void drop_rule(Engine *engine, Account *account, u32 rule_id);
bool is_of_family(Engine *engine, const AllocationRule *rule, const Account *owner);
u32 set_allocation(Engine *engine, const u8 *frame);
bool is_well_formed_block(const Incoming *incoming);
i64 hold_per_lot(const Engine *engine, const Order *order);
Balance *paid_by(const Order *order, const Seat *seat);
bool hold_shares(Engine *engine, const Order *order, u32 block);
void release_shares(Engine *engine, const Order *order, u32 block);
void take_off_shares(Engine *engine, const Order *order, u32 block, i64 lots, Payments *portions);
void exchange_shares(Engine *engine, const Incoming *taker, Order *maker, i64 lots, i64 lot_cost, i64 held_per_lot,
                     i64 taker_fee, i64 maker_fee, i64 rebate, Payments parts[2]);
void tell_print(Engine *engine, const Order *taker, const Order *maker, const Payments parts[2], u64 trade_id,
                i64 price_ticks);
void tell_taken_off(Engine *engine, const Order *order, const Payments *portions);
void tell_held(Engine *engine, const Order *order);

/* ---- money.c, settings.c, states.c, relay.c, poison.c: each returns why it refused --------------------------------- */
u32 money_credit(Engine *engine, const u8 *frame);
u32 money_debit(Engine *engine, const u8 *frame);
u32 money_hold(Engine *engine, const u8 *frame);
u32 money_release(Engine *engine, const u8 *frame);
u32 money_capture(Engine *engine, const u8 *frame);
u32 money_transfer(Engine *engine, const u8 *frame);
KeyedHold *find_hold(Engine *engine, const u8 *key, u32 *slot);
u64 hash_of_hold(const Engine *engine, const u8 *key);
void put_hold(Engine *engine, const u8 *key, u64 account_id, u32 asset_id, i64 amount_units);
u32 set_asset(Engine *engine, const u8 *frame);
u32 set_market(Engine *engine, const u8 *frame);
u32 set_account(Engine *engine, const u8 *frame);
u32 set_market_state(Engine *engine, const u8 *frame);
u32 set_class_state(Engine *engine, const u8 *frame);
u32 move_fault(const Market *market, u32 state, u32 cause);
void move_by_command(Engine *engine, Market *market, u32 state, u32 cause, u64 relay_seq, u32 source);
bool settings_are_sound(const MarketSettings *settings);
void relayed(Engine *engine, const u8 *frame, u32 (*handler)(Engine *, const u8 *));
void skip_command(Engine *engine, const u8 *frame, u32 reason);
void count_skip(Engine *engine, u32 market_id);

/* ---- framing.c ----------------------------------------------------------------------------------------------------- */
bool is_order_of(const u8 *frame, u32 market_id, u64 account_id); /* a PLACE_ORDER frame */
void check_framing(Engine *engine, const u8 *frames, size_t size);
bool is_text(const u8 *field, u32 size);

/* ---- strategy.c ---------------------------------------------------------------------------------------------------- */
const StrategyFrame *strategy_of(const PlaceOrderFrame *frame); /* NULL */
bool is_of_strategy(const PlaceOrderFrame *frame);
bool find_orders(const u8 *frames, i64 parts, u32 count, const u8 **places);

/* ---- client_ids.c: hashes of bytes --------------------------------------------------------------------------------- */
u32 crc_of_byte(u8 byte);
u32 crc_of(u32 start, const u8 *bytes, size_t size); /* of zlib; `size` is a multiple of 4 */
extern const u8 NO_CLIENT_ID[CLIENT_ID_SIZE];

/* ---- journal.c: one function an event ------------------------------------------------------------------------------ */
void event_accepted(Engine *engine, const Incoming *incoming, i64 level_lots);
/* What the sweep tells of one print. */
typedef struct Print {
    u64 trade_id, agg_id;
    i64 price_ticks, lots, taker_fee, maker_fee, level_lots, maker_left_lots;
    u32 flags;
} Print;
void event_trade(Engine *engine, const Incoming *incoming, const Order *maker, const Seat *maker_seat, Print print);
void event_waits(Engine *engine, const Incoming *incoming, u32 flag);
void event_list_changed(Engine *engine, const OrderList *list, u32 status);
void event_list_rejected(Engine *engine, u32 market_id, u64 account_id, u32 kind, u32 leg, const u8 *client_id,
                         u32 reason);
void event_list_duplicate(Engine *engine, const OrderList *list, u64 first_list_id);
void event_pending_entered(Engine *engine, const Order *order, u64 list_id, bool waits);
void event_triggered(Engine *engine, const Order *order, i64 stop_price_ticks, i64 last_price_ticks);
void event_rejected(Engine *engine, u32 market_id, u64 account_id, u32 side, u32 kind, const u8 *client_id, u32 reason);
void event_duplicate(Engine *engine, const Incoming *incoming, u64 first_order_id);
void event_rested(Engine *engine, const Order *order, i64 level_lots);
void event_closed(Engine *engine, const Order *order, u32 status, u32 reason, i64 filled, const u8 *cancel_client_id,
                  u32 flags, i64 level_lots);
void event_cancel_rejected(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id,
                           const u8 *cancel_client_id, u32 reason);
void event_all_canceled(Engine *engine, u32 market_id, u64 account_id, u32 count);
void event_prevented(Engine *engine, const Incoming *incoming, const Order *maker, i64 lots, u32 stp_mode,
                     const Level *decremented);
void event_iceberg_refilled(Engine *engine, const Order *order, i64 level_lots);
void event_amended(Engine *engine, const Order *order, i64 old_lots, i64 level_lots, const u8 *amend_client_id);
void event_amend_rejected(Engine *engine, u32 market_id, u64 account_id, u64 order_id, const u8 *client_id,
                          const u8 *amend_client_id, u32 reason);
void event_parked(Engine *engine, const Order *order, i64 reference_ticks, u64 until_ms);
void event_reviewed(Engine *engine, const ReviewOrderFrame *frame);
void event_cancel_timer_set(Engine *engine, u64 account_id, u64 due_ms, u32 flags);
void event_money_moved(Engine *engine, const MoneyFrame *money, const Balance *balance, i64 amount_units,
                       i64 released_units, const Balance *to_balance);
void event_relay_refused(Engine *engine, const u8 *frame, u32 reason);
void event_settings_applied(Engine *engine, const u8 *frame, u64 object_id, u32 market_id, u64 account_id,
                            u32 settings_version, u64 family_id, u32 fee_tier);
void event_auction_price(Engine *engine, const Market *market);
void event_halt_distance(Engine *engine, u32 market_id, const Distance *found);
void event_level_changed(Engine *engine, const Market *market, u32 side, i64 price_ticks, i64 level_lots);
void event_market_state_changed(Engine *engine, const Market *market, u64 relay_seq, u32 source, u32 old_state);
void event_allocated(Engine *engine, const Order *order, const Share *share, u32 step, i64 lots, u64 trade_id,
                     i64 price_ticks, i64 fee_units, bool is_taker);
void event_internal_reject(Engine *engine, u32 op, u64 relay_seq, u32 source, u32 reason, u32 market_id,
                           u64 account_id);

/* ---- snapshot.c, restore.c, invariants.c --------------------------------------------------------------------------- */
void write_snapshot(Engine *engine);
void write_table(Engine *engine, u32 table);
void read_snapshot(Engine *engine, const u8 *body, size_t size);
void validate(Engine *engine);

#endif
