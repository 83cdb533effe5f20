/* Memory: chunks that stay, pools of items that never move, growing buffers, and the one way out of a failed call.

   Layout
       What belongs to the state comes in chunks out of blocks of 8 MB, which are given back only with the engine. Large
       pages make commands 10 to 20 % cheaper, but the system needs up to 6 ms to make one: so there are some only where
       nobody waits, before the first command (reserve).

   Costs: take and give O(1); a pool grows by one chunk, at most 512 KB, whose pages the system hands out in some 0.1 ms,
   so that no growth is a pause. Memory that is not there fails the call with NBP_OUT_OF_MEMORY. */
#include "engine.h"

#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

_Noreturn void fail(Engine *engine, int status, const char *format, ...) {
    va_list values;
    engine->error.status = status;
    va_start(values, format);
    vsnprintf(engine->error.text, sizeof engine->error.text, format, values);
    va_end(values);
    longjmp(engine->leave, 1);
}

void *memory_take(Engine *engine, size_t size) {
    void *memory = calloc(1, size);
    if (!memory) fail(engine, NBP_OUT_OF_MEMORY, "no memory for %zu bytes", size);
    engine->memory_bytes += size;
    return memory;
}

void memory_give(Engine *engine, void *memory, size_t size) {
    if (memory) engine->memory_bytes -= size;
    free(memory);
}

#define BLOCK_BYTES ((size_t)8 << 20)
#define LINE_BYTES ((size_t)64)
#define READY_BYTES ((size_t)64 << 10)
#define LARGE_PAGE ((size_t)2 << 20)

/* Under a memory checker each chunk is its own, so that nothing reaches from one into the next unseen. */
#if defined(__SANITIZE_ADDRESS__)
#define ONE_CHUNK_A_BLOCK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_CHUNK_A_BLOCK 1
#endif
#endif

#if !defined(ONE_CHUNK_A_BLOCK) && defined(MAP_ANONYMOUS)
static u8 *map_block(size_t size) {
    u8 *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    return start;
}

static void unmap_block(u8 *memory, size_t size) { munmap(memory, size); }
#else
static u8 *map_block(size_t size) { return calloc(1, size); }

static void unmap_block(u8 *memory, size_t size) {
    (void)size;
    free(memory);
}
#endif

/* Pages are asked for some at a time: each one that comes by a fault of its own costs about as much as three commands.
   A system that does not know the request makes them as they are touched. */
static void make_ready(Engine *engine) {
#if !defined(ONE_CHUNK_A_BLOCK) && defined(MADV_POPULATE_WRITE)
    if (engine->block_at <= engine->block_ready) return;
    const size_t left = (size_t)(engine->block_at - engine->block_ready) + engine->block_left;
    size_t more = (size_t)(engine->block_at - engine->block_ready + READY_BYTES - 1) & ~(READY_BYTES - 1);
    if (more > left) more = left;
    madvise(engine->block_ready, more, MADV_POPULATE_WRITE);
    engine->block_ready += more;
#else
    (void)engine;
#endif
}

/* What is left of the block before stays unused. */
static void begin_block(Engine *engine, size_t room) {
    MemoryBlock *block = malloc(sizeof *block);
    u8 *memory = block ? map_block(room) : NULL;
    if (!memory) {
        free(block);
        fail(engine, NBP_OUT_OF_MEMORY, "no memory for %zu bytes", room);
    }
    *block = (MemoryBlock){engine->memory_blocks, memory, room};
    engine->memory_blocks = block;
    engine->block_at = engine->block_ready = memory;
    engine->block_left = room;
}

/* Large pages where the system has them, all of them now. */
void reserve(Engine *engine, size_t size) {
#if !defined(ONE_CHUNK_A_BLOCK) && defined(MADV_HUGEPAGE) && defined(MADV_POPULATE_WRITE)
    size = (size + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    begin_block(engine, size + LARGE_PAGE);
    const size_t before = -(size_t)engine->block_at & (LARGE_PAGE - 1); /* a large page begins at a multiple of its size */
    engine->block_at += before;
    engine->block_left = size;
    madvise(engine->block_at, size, MADV_HUGEPAGE);
    madvise(engine->block_at, size, MADV_POPULATE_WRITE);
    engine->block_ready = engine->block_at + size;
#else
    (void)engine, (void)size;
#endif
}

void *chunk_take(Engine *engine, size_t size) {
    size = (size + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
    if (size > engine->block_left) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
#if defined(ONE_CHUNK_A_BLOCK)
        room = size;
#endif
        begin_block(engine, room);
    }
    u8 *chunk = engine->block_at;
    engine->block_at += size;
    engine->block_left -= size;
    engine->memory_bytes += size;
    make_ready(engine);
    return chunk;
}

void free_chunks(Engine *engine) {
    while (engine->memory_blocks) {
        MemoryBlock *block = engine->memory_blocks;
        engine->memory_blocks = block->before;
        unmap_block(block->memory, block->size);
        free(block);
    }
}

void pool_init(Pool *pool, u32 item_size, u32 shift, u32 link_offset) {
    *pool = (Pool){.item_size = item_size, .shift = shift, .link_offset = link_offset, .used = 1};
}

static void pool_grow(Engine *engine, Pool *pool) {
    if (pool->chunk_count == pool->chunk_room) {
        u32 room = pool->chunk_room ? 2 * pool->chunk_room : 8;
        u8 **chunks = memory_take(engine, room * sizeof *chunks);
        if (pool->chunks) memcpy(chunks, pool->chunks, pool->chunk_count * sizeof *chunks);
        memory_give(engine, pool->chunks, pool->chunk_room * sizeof *chunks);
        pool->chunks = chunks;
        pool->chunk_room = room;
    }
    pool->chunks[pool->chunk_count] = chunk_take(engine, (size_t)pool->item_size << pool->shift);
    pool->chunk_count++;
}

/* What stands in it is undefined. */
static u32 pool_take_raw(Engine *engine, Pool *pool) {
    u32 slot = pool->free_slot;
    if (slot) {
        memcpy(&pool->free_slot, (u8 *)pool_at(pool, slot) + pool->link_offset, sizeof pool->free_slot);
    } else {
        slot = pool->used;
        if (slot >= LISTED) fail(engine, NBP_OUT_OF_MEMORY, "a pool is full");
        while (slot >> pool->shift >= pool->chunk_count) pool_grow(engine, pool);
        pool->used++;
    }
    pool->live++;
    return slot;
}

u32 pool_take(Engine *engine, Pool *pool) {
    u32 slot = pool_take_raw(engine, pool);
    memset(pool_at(pool, slot), 0, pool->item_size);
    return slot;
}

void pool_give(Pool *pool, u32 slot) {
    memcpy((u8 *)pool_at(pool, slot) + pool->link_offset, &pool->free_slot, sizeof pool->free_slot);
    pool->free_slot = slot;
    pool->live--;
}

void pool_free(Engine *engine, Pool *pool) { memory_give(engine, pool->chunks, pool->chunk_room * sizeof *pool->chunks); }

/* Empty; one that has become large, by a snapshot or by a cancel of very many orders, is given back. */
void buffer_clear(Buffer *buffer) {
    buffer->size = 0;
    if (LIKELY(buffer->room <= BUFFER_KEPT)) return;
    free(buffer->data);
    *buffer = (Buffer){0};
}

void buffer_grow(Engine *engine, Buffer *buffer, size_t more) {
    size_t room = buffer->room ? buffer->room : 1 << 16;
    while (room - buffer->size < more) room += room / 2;
    u8 *data = realloc(buffer->data, room);
    if (!data) fail(engine, NBP_OUT_OF_MEMORY, "no memory for %zu bytes", room);
    buffer->data = data;
    buffer->room = room;
}
