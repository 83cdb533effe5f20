/* Client order ids are idempotent (T15).

   Layout
       `owners` says who owns an id, by its 16-byte BLAKE2b of (account, id): an open order's slot, or CLOSED and the place
       of a record in the ring of the last `capacity` closed ids, which stand as in the snapshot, oldest first. The ring
       has capacity + 1 places in chunks that come into being when they are reached.
       An order keeps the key; its fingerprint is computed from its fields when it is asked for.

   Known limit
       As in the plain engine: an id used again while its older order is still in the ring has two records there, only the
       newer owner is found, and the older record leaves the ring at its turn. */
#include "engine.h"
#if defined(__x86_64__)
#include <cpuid.h>
#define KEEPS_AVX 0x06u
#define KEEPS_AVX512 0xe6u
#endif

#define RING_CHUNK 4096u
#define LATER 8

static const u64 BLAKE2B_IV[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
                                  0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

#define TURNED(value, bits) ((value) >> (bits) | (value) << (64 - (bits)))
#define BLAKE2B_MIX(a, b, c, d, x, y)                                                                                  \
    a += b + (x), d ^= a, d = TURN_32(d), c += d, b ^= c, b = TURN_24(b);                                              \
    a += b + (y), d ^= a, d = TURN_16(d), c += d, b ^= c, b = TURNED(b, 63)

#define BLAKE2B_ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                            \
    BLAKE2B_MIX(v0, v4, v8, v12, m##s0, m##s1);                                                                        \
    BLAKE2B_MIX(v1, v5, v9, v13, m##s2, m##s3);                                                                        \
    BLAKE2B_MIX(v2, v6, v10, v14, m##s4, m##s5);                                                                       \
    BLAKE2B_MIX(v3, v7, v11, v15, m##s6, m##s7);                                                                       \
    BLAKE2B_MIX(v0, v5, v10, v15, m##s8, m##s9);                                                                       \
    BLAKE2B_MIX(v1, v6, v11, v12, m##s10, m##s11);                                                                     \
    BLAKE2B_MIX(v2, v7, v8, v13, m##s12, m##s13);                                                                      \
    BLAKE2B_MIX(v3, v4, v9, v14, m##s14, m##s15)

#define BLAKE2B_ROUNDS                                                                                                 \
    BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);                                               \
    BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);                                               \
    BLAKE2B_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);                                               \
    BLAKE2B_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);                                               \
    BLAKE2B_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);                                               \
    BLAKE2B_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);                                               \
    BLAKE2B_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);                                               \
    BLAKE2B_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);                                               \
    BLAKE2B_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);                                               \
    BLAKE2B_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);                                               \
    BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);                                               \
    BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

/* The state of one block of 44 bytes, of which words m6 to m15 are zero; m0 to m5 are there (RFC 7693). */
#define BLAKE2B_STATE(Word, ZERO, size)                                                                                      \
    const Word m6 = ZERO, m7 = ZERO, m8 = ZERO, m9 = ZERO, m10 = ZERO, m11 = ZERO, m12 = ZERO, m13 = ZERO, m14 = ZERO,   \
               m15 = ZERO;                                                                                             \
    const Word h0 = ZERO + (BLAKE2B_IV[0] ^ 0x01010000u ^ KEY_SIZE), h1 = ZERO + BLAKE2B_IV[1];                        \
    Word v0 = h0, v1 = h1, v2 = ZERO + BLAKE2B_IV[2], v3 = ZERO + BLAKE2B_IV[3], v4 = ZERO + BLAKE2B_IV[4],            \
         v5 = ZERO + BLAKE2B_IV[5], v6 = ZERO + BLAKE2B_IV[6], v7 = ZERO + BLAKE2B_IV[7];                              \
    Word v8 = ZERO + BLAKE2B_IV[0], v9 = ZERO + BLAKE2B_IV[1], v10 = ZERO + BLAKE2B_IV[2], v11 = ZERO + BLAKE2B_IV[3], \
         v12 = ZERO + (BLAKE2B_IV[4] ^ (size)), v13 = ZERO + BLAKE2B_IV[5],                              \
         v14 = ZERO + ~BLAKE2B_IV[6], v15 = ZERO + BLAKE2B_IV[7]

static void read_words(u64 words[6], u64 account_id, const u8 *client_id) {
    words[0] = account_id;
    words[5] = 0;
    memcpy(&words[1], client_id, CLIENT_ID_SIZE);
}

#define TURN_32(value) TURNED(value, 32)
#define TURN_24(value) TURNED(value, 24)
#define TURN_16(value) TURNED(value, 16)

/* BLAKE2b of 16 bytes over account and id. */
static void key_of_words(u8 key[KEY_SIZE], const u64 words[6], u64 size) {
    const u64 m0 = words[0], m1 = words[1], m2 = words[2], m3 = words[3], m4 = words[4], m5 = words[5];
    BLAKE2B_STATE(u64, (u64)0, size);
    BLAKE2B_ROUNDS;
    const u64 first = h0 ^ v0 ^ v8, second = h1 ^ v1 ^ v9;
    memcpy(key, &first, 8);
    memcpy(key + 8, &second, 8);
}

#define OWNER_SIZE (8 + CLIENT_ID_SIZE)

void key_of(u8 key[KEY_SIZE], u64 account_id, const u8 *client_id) {
    u64 words[6];
    read_words(words, account_id, client_id);
    key_of_words(key, words, OWNER_SIZE);
}

/* The same for the client id of an order list: with a mark behind it. */
void list_key_of(u8 key[KEY_SIZE], u64 account_id, const u8 *client_id) {
    u64 words[6];
    read_words(words, account_id, client_id);
    memcpy((u8 *)&words[5] + 4, "list", 4);
    key_of_words(key, words, OWNER_SIZE + 4);
}

/* Four of them side by side. */
typedef u64 Four __attribute__((vector_size(32)));
typedef u8 FourAsBytes __attribute__((vector_size(32)));

#define HASH_FOUR(into)                                                                                                \
    u64 words[KEYS_AT_ONCE][6];                                                                                        \
    for (u32 lane = 0; lane < KEYS_AT_ONCE; lane++) {                                                                  \
        const PlaceOrderFrame *order = (const void *)into[lane]->frame;                                                \
        read_words(words[lane], order->account_id, order->client_id);                                                  \
    }                                                                                                                  \
    const Four m0 = LANES(0), m1 = LANES(1), m2 = LANES(2), m3 = LANES(3), m4 = LANES(4), m5 = LANES(5);               \
    BLAKE2B_STATE(Four, (Four){0}, OWNER_SIZE);                                                                                   \
    BLAKE2B_ROUNDS;                                                                                                    \
    const Four first = h0 ^ v0 ^ v8, second = h1 ^ v1 ^ v9;                                                            \
    for (u32 lane = 0; lane < KEYS_AT_ONCE; lane++) {                                                                  \
        const u64 key[2] = {first[lane], second[lane]};                                                                \
        memcpy(into[lane]->id_key, key, KEY_SIZE);                                                                     \
    }
#define LANES(word) {words[0][word], words[1][word], words[2][word], words[3][word]}

static void hash_four(Ahead *into[KEYS_AT_ONCE]) { HASH_FOUR(into) }

/* The library runs on machines without wide vectors too, so which ones there are is asked once, when an engine is made.
   AVX-512 turns a word in one step and has registers for the whole state; AVX2 turns it by whole bytes in one step. */
#if defined(__x86_64__)
__attribute__((target("avx512vl"))) static void hash_four_avx512(Ahead *into[KEYS_AT_ONCE]) { HASH_FOUR(into) }
#undef TURN_32
#undef TURN_24
#undef TURN_16
#define TURN_BYTES(value, by)                                                                                          \
    (Four) __builtin_shufflevector((FourAsBytes)(value), (FourAsBytes)(value), OF_WORD(0, by), OF_WORD(8, by),          \
                                   OF_WORD(16, by), OF_WORD(24, by))
#define OF_WORD(at, by)                                                                                                \
    at + (0 + by) % 8, at + (1 + by) % 8, at + (2 + by) % 8, at + (3 + by) % 8, at + (4 + by) % 8, at + (5 + by) % 8,   \
        at + (6 + by) % 8, at + (7 + by) % 8
#define TURN_32(value) TURN_BYTES(value, 4)
#define TURN_24(value) TURN_BYTES(value, 3)
#define TURN_16(value) TURN_BYTES(value, 2)
__attribute__((target("avx2"))) static void hash_four_avx2(Ahead *into[KEYS_AT_ONCE]) { HASH_FOUR(into) }

/* The processor has them, and the system keeps their registers. __builtin_cpu_supports would say the same, but zig's
   linker cannot put its data into a library. */
static HashFour *best_hash_four(void) {
    u32 a, b, c, d, kept, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return hash_four;
    __asm__ volatile("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return hash_four;
    if ((kept & KEEPS_AVX512) == KEEPS_AVX512 && b & bit_AVX512F && b & bit_AVX512VL) return hash_four_avx512;
    return (kept & KEEPS_AVX) == KEEPS_AVX && b & bit_AVX2 ? hash_four_avx2 : hash_four;
}
#else
static HashFour *best_hash_four(void) { return hash_four; }
#endif

void keys_of(const Engine *engine, Ahead *into[KEYS_AT_ONCE]) { engine->hash_four(into); }

/* With the seed, so that nobody can choose ids that stand in one segment. */
u64 hash_of_key(const Engine *engine, const u8 *key) {
    u64 word;
    memcpy(&word, key, sizeof word);
    return mixed(word ^ engine->hash_seed);
}

/* What the fingerprint is of; zeros stand for what an order does not carry (client_ids.py). */
typedef struct PACKED Parameters {
    u32 market_id;
    u8 side, kind, time_in_force, stp_mode;
    i64 price_ticks, placed_lots, budget_units, display_lots, stop_price_ticks, expires_ms;
    u32 trailing_bips;
} Parameters;

/* CRC-32 of zlib over `size` bytes, a multiple of 4. */
static u32 crc_over(u32 crc, const u8 *at, size_t size) {
    for (; size >= 8; size -= 8, at += 8) {
        u32 low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = CRC_TABLES[7][low & 255] ^ CRC_TABLES[6][low >> 8 & 255] ^ CRC_TABLES[5][low >> 16 & 255] ^
              CRC_TABLES[4][low >> 24] ^ CRC_TABLES[3][high & 255] ^ CRC_TABLES[2][high >> 8 & 255] ^
              CRC_TABLES[1][high >> 16 & 255] ^ CRC_TABLES[0][high >> 24];
    }
    if (size) {
        u32 low;
        memcpy(&low, at, 4);
        low ^= crc;
        crc = CRC_TABLES[3][low & 255] ^ CRC_TABLES[2][low >> 8 & 255] ^ CRC_TABLES[1][low >> 16 & 255] ^
              CRC_TABLES[0][low >> 24];
    }
    return crc;
}

#define PLAIN_SIZE offsetof(Parameters, budget_units)
_Static_assert(sizeof(Parameters) - PLAIN_SIZE == CRC_ZEROS, "what a plain order has none of");

/* A plain order has none of the later fields: what so many zeros do to a CRC is a table. */
static u32 fingerprint_of_parameters(const Parameters *parameters, bool plain, u32 start) {
    const u8 *bytes = (const void *)parameters;
    u32 crc = crc_over(~start, bytes, PLAIN_SIZE);
    if (plain)
        crc = CRC_OF_ZEROS[0][crc & 255] ^ CRC_OF_ZEROS[1][crc >> 8 & 255] ^ CRC_OF_ZEROS[2][crc >> 16 & 255] ^
              CRC_OF_ZEROS[3][crc >> 24];
    else
        crc = crc_over(crc, bytes + PLAIN_SIZE, sizeof *parameters - PLAIN_SIZE);
    return ~crc;
}

u32 crc_of(u32 start, const u8 *bytes, size_t size) { return ~crc_over(~start, bytes, size); }

u32 crc_of_byte(u8 byte) { return ~(0xffffffffu >> 8 ^ CRC_TABLES[0][(0xffffffffu ^ byte) & 255]); }

/* A block order's fingerprint begins with its rule and what was requested. */
static u32 start_of_fingerprint(const Engine *engine, const Order *order) {
    const u32 slot = block_of(engine, order);
    if (LIKELY(!slot)) return 0;
    const u32 words[2] = {block_at(engine, slot)->rule_id, block_at(engine, slot)->requested_crc};
    return crc_of(0, (const u8 *)words, sizeof words);
}

static inline void set_parameters(const Engine *engine, Parameters *parameters, const Order *order) {
    parameters->market_id = market_of(engine, order)->market_id;
    parameters->side = order->side;
    parameters->kind = order->kind;
    parameters->time_in_force = order->time_in_force;
    parameters->stp_mode = order->stp_mode;
    parameters->price_ticks = order->price_ticks;
    parameters->placed_lots = order->quantity_lots;
    parameters->budget_units = parameters->display_lots = parameters->stop_price_ticks = parameters->expires_ms = 0;
    parameters->trailing_bips = 0;
}

u32 fingerprint_of(const Engine *engine, const Order *order) {
    Parameters parameters;
    set_parameters(engine, &parameters, order);
    if (order->terms) {
        const Terms *terms = terms_at(engine, order->terms);
        parameters.display_lots = terms->display_lots;
        parameters.expires_ms = terms->expires_ms;
        parameters.stop_price_ticks = terms->stop_price_ticks;
        parameters.trailing_bips = terms->trailing_bips;
        if (terms->placed_lots) parameters.placed_lots = terms->placed_lots;
    }
    return fingerprint_of_parameters(&parameters, !order->terms, start_of_fingerprint(engine, order));
}

u32 fingerprint_of_incoming(const Engine *engine, const Incoming *incoming) {
    Parameters parameters;
    set_parameters(engine, &parameters, incoming->order);
    parameters.budget_units = incoming->budget_units;
    parameters.display_lots = incoming->display_lots;
    parameters.expires_ms = incoming->expires_ms;
    parameters.stop_price_ticks = incoming->stop_price_ticks;
    parameters.trailing_bips = incoming->trailing_bips;
    return fingerprint_of_parameters(&parameters,
                                     !(incoming->budget_units | incoming->display_lots | incoming->expires_ms |
                                       incoming->stop_price_ticks | incoming->trailing_bips),
                                     start_of_fingerprint(engine, incoming->order));
}

ClosedId *closed_id_at(const Engine *engine, u32 place) {
    return &engine->client_ids.chunks[place / RING_CHUNK][place % RING_CHUNK];
}

u32 find_owner(Engine *engine, u64 hash, const u8 *key) {
    Probe probe = table_probe(&engine->client_ids.owners, hash);
    for (u32 owner; (owner = probe_next(&probe));) {
        const u8 *own = owner & CLOSED   ? closed_id_at(engine, owner & ~CLOSED)->id_key
                        : owner & LISTED ? list_at(engine, owner & ~LISTED)->id_key
                                         : order_at(engine, owner)->id_key;
        if (!memcmp(own, key, KEY_SIZE)) return owner;
    }
    return 0;
}

/* The order has come to rest: it owns its id from now on. */
void own_client_id(Engine *engine, u64 hash, u32 slot) {
    u32 before = find_owner(engine, hash, order_at(engine, slot)->id_key);
    if (before)
        table_replace(engine, &engine->client_ids.owners, hash, before, slot);
    else
        table_insert(engine, &engine->client_ids.owners, hash, slot);
}

void own_list_id(Engine *engine, u64 hash, u32 slot) {
    const u32 before = find_owner(engine, hash, list_at(engine, slot)->id_key);
    if (before)
        table_replace(engine, &engine->client_ids.owners, hash, before, LISTED | slot);
    else
        table_insert(engine, &engine->client_ids.owners, hash, LISTED | slot);
}

/* A new newest record; it owns its id in the place of `owner`, 0 for nobody. Written field by field where it stays: a copy
   of a struct that was just put together waits until all earlier stores have reached the cache. */
void put_closed_id(Engine *engine, const u8 *key, u32 fingerprint, u64 order_id, u32 owner, u64 hash) {
    ClientIds *ids = &engine->client_ids;
    u64 places = (u64)ids->capacity + 1;
    u64 place = ids->oldest + ids->count < places ? ids->oldest + ids->count : ids->oldest + ids->count - places;
    if (UNLIKELY(!ids->chunks[place / RING_CHUNK]))
        ids->chunks[place / RING_CHUNK] = chunk_take(engine, RING_CHUNK * sizeof(ClosedId));
    ClosedId *record = closed_id_at(engine, (u32)place);
    memcpy(record->id_key, key, KEY_SIZE);
    record->fingerprint = fingerprint;
    memcpy(record->order_id, &order_id, sizeof order_id);
    ids->count++;
    if (owner)
        table_replace(engine, &ids->owners, hash, owner, CLOSED | (u32)place);
    else
        table_insert(engine, &ids->owners, hash, CLOSED | (u32)place);
    __builtin_prefetch((const u8 *)closed_id_at(engine, (u32)place) + 4 * sizeof(ClosedId), 1);
    if (ids->count <= ids->capacity) return;
    const ClosedId *oldest = closed_id_at(engine, (u32)ids->oldest);
    u64 oldest_hash = hash_of_key(engine, oldest->id_key);
    if (find_owner(engine, oldest_hash, oldest->id_key) == (CLOSED | (u32)ids->oldest))
        table_remove(engine, &ids->owners, oldest_hash, CLOSED | (u32)ids->oldest);
    ids->oldest = ids->oldest + 1 == places ? 0 : ids->oldest + 1;
    ids->count--;
    /* one that will be the oldest soon: its bucket is asked for now */
    const u64 later = ids->oldest + LATER < places ? ids->oldest + LATER : ids->oldest;
    if (!ids->chunks[later / RING_CHUNK]) return;
    const u64 later_hash = hash_of_key(engine, closed_id_at(engine, (u32)later)->id_key);
    const TableSegment *segment = table_segment(&ids->owners, later_hash);
    __builtin_prefetch(segment, 1);
    __builtin_prefetch(&segment->buckets[later_hash >> 32 & (SEGMENT_ROOM - 1)], 1);
}

/* The order has closed; its id is kept until `capacity` further ones have closed. `slot` is 0 for one that never owned. */
void remember(Engine *engine, u32 slot, const Order *order, u32 fingerprint) {
    const u64 hash = hash_of_key(engine, order->id_key);
    put_closed_id(engine, order->id_key, fingerprint, order->order_id,
                  slot ? slot : find_owner(engine, hash, order->id_key), hash);
}

void remember_incoming(Engine *engine, const Incoming *incoming) {
    if (incoming->order->client_id[0])
        remember(engine, 0, incoming->order, fingerprint_of_incoming(engine, incoming));
}

void client_ids_init(Engine *engine, u32 capacity) {
    ClientIds *ids = &engine->client_ids;
    table_init(engine, &ids->owners);
    ids->capacity = capacity;
    ids->chunk_count = (u64)capacity / RING_CHUNK + 1;
    ids->chunks = memory_take(engine, ids->chunk_count * sizeof *ids->chunks);
}

void client_ids_free(Engine *engine) {
    ClientIds *ids = &engine->client_ids;
    table_free(engine, &ids->owners);
    memory_give(engine, ids->chunks, ids->chunk_count * sizeof *ids->chunks);
}
