/* The matching engine for other programs: stamped command frames in, event records out (apps/streams/commands.py, events.py).

   A pure state machine: no clock, no I/O, no global state. One engine belongs to one thread at a time. Bytes that a
   function gives out belong to the engine and stay valid until its next call.

   After any status but NBP_OK, NBP_FRAME_ERROR, NBP_BUFFER_TOO_SMALL the engine's state is undefined: free it and
   restore another one from a snapshot and the command log. */
#ifndef NEBANNPET_ENGINE_H
#define NEBANNPET_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NBP_API __attribute__((visibility("default")))
#else
#define NBP_API
#endif

/* Changes when a function or a struct below does. */
#define NBP_INTERFACE 2

enum {
    NBP_OK = 0,
    NBP_FRAME_ERROR = 1,        /* bytes that are not whole, known frames: nothing was applied */
    NBP_INVARIANT_BROKEN = 2,   /* the engine found itself wrong */
    NBP_RELAY_GAP = 3,          /* a relayed command is missing before this one */
    NBP_SNAPSHOT_ERROR = 4,     /* not a snapshot body */
    NBP_UNREADABLE_VERSION = 5, /* a snapshot body of rules that this engine does not read */
    NBP_OUT_OF_MEMORY = 6,
    NBP_BUFFER_TOO_SMALL = 7    /* nbp_submit: applied; fetch the events with nbp_events */
};

typedef struct nbp_engine nbp_engine;

/* What a failed nbp_restore says. The versions are set for NBP_UNREADABLE_VERSION. */
typedef struct nbp_error {
    int32_t status;
    uint32_t version_found, version_own, version_oldest;
    char text[200];
} nbp_error;

/* Best prices are 0 where that side is empty, last_price_ticks before the first trade. */
typedef struct nbp_market {
    uint32_t market_id, settings_version, skips;
    uint8_t state, cause, padding[2];
    int64_t best_bid_ticks, best_ask_ticks, last_price_ticks;
    uint64_t last_trade_id, bid_levels, ask_levels;
    uint64_t until_ms, reopens_ms; /* when a timer ends the state, 0 for none */
    uint32_t rule_id, more_padding;
    int64_t auction_ticks, auction_lots; /* the last price of a call auction that was told, 0 outside one */
    int64_t halt_up_ticks, halt_down_ticks; /* the last distance to halt that was told */
    char symbol[24]; /* ends with NUL */
} nbp_market;

typedef struct nbp_counters {
    uint64_t seq, now_ms, last_order_id, accounts, open_orders, holds, remembered_client_ids, skips;
    uint32_t cmd_n, cmd_index;
    uint64_t memory_bytes; /* what the engine has allocated, without the events of the last call */
} nbp_counters;

typedef struct nbp_level {
    int64_t price_ticks, lots;
} nbp_level;

NBP_API uint32_t nbp_interface(void);
NBP_API uint32_t nbp_rules_version(void);

/* An empty engine, NULL without memory. `closed_ids_kept`: how many client ids of closed orders are remembered.
   Orders are numbered from `last_order_id` + 1 on. `hash_seed` is any number that clients cannot know; it decides where
   things stand in tables and never what happens. */
NBP_API nbp_engine *nbp_create(uint32_t closed_ids_kept, uint64_t last_order_id, uint64_t hash_seed);

/* The engine of a snapshot body; NULL with `error` set otherwise. */
NBP_API nbp_engine *nbp_restore(const uint8_t *body, size_t size, uint64_t hash_seed, nbp_error *error);

/* Take memory for the next `size` bytes of state now, in large pages where the system has them. It takes milliseconds, so
   it is for before the first command; without it memory comes as it is needed. */
NBP_API int32_t nbp_reserve(nbp_engine *engine, size_t size);

NBP_API void nbp_free(nbp_engine *engine);

/* Apply whole stamped frame runs; their events, in order. */
NBP_API int32_t nbp_process(nbp_engine *engine, const uint8_t *frames, size_t size, const uint8_t **events,
                            size_t *events_size);

/* nbp_process with the events copied into the caller's buffer; *events_size is what they need. */
NBP_API int32_t nbp_submit(nbp_engine *engine, const uint8_t *frames, size_t size, uint8_t *buffer, size_t room,
                           size_t *events_size);

/* The events of the last call once more. */
NBP_API const uint8_t *nbp_events(const nbp_engine *engine, size_t *events_size);

/* Take the number and time of the run's first command without applying it: an INTERNAL_REJECT with `reason`. */
NBP_API int32_t nbp_skip(nbp_engine *engine, const uint8_t *run, size_t size, uint32_t reason, const uint8_t **events,
                         size_t *events_size);

/* The id of the command being applied also stands in these 16 bytes, as in its frame; NULL for nowhere. */
NBP_API void nbp_mark_in(nbp_engine *engine, uint8_t *marker);

/* The canonical body of the whole state. */
NBP_API int32_t nbp_snapshot(nbp_engine *engine, const uint8_t **body, size_t *size);

/* Rows of one table of the snapshot, as they stand in the body. */
NBP_API int32_t nbp_table(nbp_engine *engine, uint32_t table, const uint8_t **rows, size_t *size);

NBP_API uint64_t nbp_seq(const nbp_engine *engine);
NBP_API void nbp_count(const nbp_engine *engine, nbp_counters *counters);
NBP_API uint32_t nbp_market_count(const nbp_engine *engine);

/* The market at `position` in the order of ids. */
NBP_API void nbp_market_at(const nbp_engine *engine, uint32_t position, nbp_market *market);

/* The best `limit` levels, best first; how many there are of them. UINT32_MAX where there is no such market. */
NBP_API uint32_t nbp_depth(const nbp_engine *engine, uint32_t market_id, uint32_t side, uint32_t limit,
                           nbp_level *levels);

/* Full structural check, O(state). */
NBP_API int32_t nbp_validate(nbp_engine *engine);

/* What the last status that was not NBP_OK means. */
NBP_API const char *nbp_error_text(const nbp_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
