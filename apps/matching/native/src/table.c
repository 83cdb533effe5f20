/* Hash tables from a key's hash to a 32-bit value; the caller compares keys (extendible hashing).

   Layout
       A directory of 2^depth pointers to segments of 512 buckets, by the upper bits of the hash. A bucket holds the upper
       half of the hash and the value. Within a segment: linear probing from a place given by lower bits of that half,
       removal by moving the followers back.

   Costs
       A full segment splits alone, so the largest pause is one split (512 buckets) or a copy of the directory (1/400 of
       the entries). There is no rehash of the whole table. Segments never merge. */
#include "engine.h"

#define SEGMENT_SIZE (sizeof(TableSegment) + SEGMENT_ROOM * sizeof(u64))
#define SEGMENT_FULL (SEGMENT_ROOM * 13 / 16)
#define DEPTH_MAX 23 /* with the 9 bits of a home these are all bits that a bucket keeps */

static u32 table_home(u64 bucket) { return (u32)(bucket >> 32) & (SEGMENT_ROOM - 1); }

static void segment_put(TableSegment *segment, u64 bucket) {
    u32 at = table_home(bucket);
    while (segment->buckets[at]) at = (at + 1) & (SEGMENT_ROOM - 1);
    segment->buckets[at] = bucket;
    segment->used++;
}

static TableSegment *segment_take(Engine *engine) {
    TableSegment *segment = engine->free_segments;
    if (!segment) return chunk_take(engine, SEGMENT_SIZE);
    engine->free_segments = segment->next_free;
    memset(segment, 0, SEGMENT_SIZE);
    return segment;
}

static void segment_give(Engine *engine, TableSegment *segment) {
    segment->next_free = engine->free_segments;
    engine->free_segments = segment;
}

void table_init(Engine *engine, Table *table) {
    *table = (Table){0};
    table->directory = memory_take(engine, sizeof *table->directory);
    table->directory[0] = segment_take(engine);
}

void table_free(Engine *engine, Table *table) {
    if (!table->directory) return;
    memory_give(engine, table->directory, (1ull << table->depth) * sizeof *table->directory);
}

static void directory_double(Engine *engine, Table *table) {
    u64 room = 1ull << table->depth;
    TableSegment **directory = memory_take(engine, 2 * room * sizeof *directory);
    for (u64 at = 0; at < room; at++) directory[2 * at] = directory[2 * at + 1] = table->directory[at];
    memory_give(engine, table->directory, room * sizeof *directory);
    table->directory = directory;
    table->depth++;
}

static void segment_split(Engine *engine, Table *table, u64 hash) {
    TableSegment *old = table_segment(table, hash);
    if (old->depth >= DEPTH_MAX) fail(engine, NBP_OUT_OF_MEMORY, "a segment of a table cannot be split");
    TableSegment *halves[2] = {segment_take(engine), NULL};
    halves[1] = segment_take(engine);
    if (old->depth == table->depth) directory_double(engine, table);
    u32 depth = old->depth + 1;
    halves[0]->depth = halves[1]->depth = depth;
    for (u32 at = 0; at < SEGMENT_ROOM; at++) {
        u64 bucket = old->buckets[at];
        if (bucket) segment_put(halves[bucket >> (64 - depth) & 1], bucket);
    }
    u64 share = 1ull << (table->depth - depth);
    u64 first = hash >> (64 - depth) << (table->depth - depth) & ~share;
    for (u64 at = 0; at < share; at++) {
        table->directory[first + at] = halves[0];
        table->directory[first + share + at] = halves[1];
    }
    segment_give(engine, old);
}

void table_insert(Engine *engine, Table *table, u64 hash, u32 value) {
    while (UNLIKELY(table_segment(table, hash)->used >= SEGMENT_FULL)) segment_split(engine, table, hash);
    segment_put(table_segment(table, hash), hash >> 32 << 32 | value);
    table->count++;
}

static u64 *table_bucket(Engine *engine, Table *table, u64 hash, u32 value) {
    TableSegment *segment = table_segment(table, hash);
    u64 wanted = hash >> 32 << 32 | value;
    for (u32 at = table_home(wanted); segment->buckets[at]; at = (at + 1) & (SEGMENT_ROOM - 1))
        if (segment->buckets[at] == wanted) return &segment->buckets[at];
    fail(engine, NBP_INVARIANT_BROKEN, "a table has lost an entry");
}

void table_replace(Engine *engine, Table *table, u64 hash, u32 value, u32 by) {
    *table_bucket(engine, table, hash, value) = hash >> 32 << 32 | by;
}

void table_remove(Engine *engine, Table *table, u64 hash, u32 value) {
    u64 *found = table_bucket(engine, table, hash, value);
    TableSegment *segment = table_segment(table, hash);
    u32 hole = (u32)(found - segment->buckets);
    for (u32 at = (hole + 1) & (SEGMENT_ROOM - 1); segment->buckets[at]; at = (at + 1) & (SEGMENT_ROOM - 1)) {
        u32 home = table_home(segment->buckets[at]);
        if (((at - home) & (SEGMENT_ROOM - 1)) >= ((at - hole) & (SEGMENT_ROOM - 1))) {
            segment->buckets[hole] = segment->buckets[at];
            hole = at;
        }
    }
    segment->buckets[hole] = 0;
    segment->used--;
    table->count--;
}
