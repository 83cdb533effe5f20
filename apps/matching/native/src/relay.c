/* Relayed commands: numbered per source, applied exactly once and in order (relay.py). */
#include "engine.h"

/* Whether to apply the command; if so its number is taken. */
static bool is_next(Engine *engine, u64 relay_seq, u32 source) {
    if (source == SOURCE_DIRECT) return true;
    u32 place = 0;
    while (place < engine->relay_count && engine->relays[place].source < source) place++;
    const bool known = place < engine->relay_count && engine->relays[place].source == source;
    const u64 last = known ? engine->relays[place].relay_seq : 0;
    if (relay_seq <= last) return false;
    if (relay_seq != last + 1)
        fail(engine, NBP_RELAY_GAP, "source %u sent relay_seq %llu after %llu", source, (unsigned long long)relay_seq,
             (unsigned long long)last);
    if (!known) {
        if (engine->relay_count == sizeof engine->relays / sizeof *engine->relays)
            fail(engine, NBP_INVARIANT_BROKEN, "too many sources of relayed commands");
        memmove(&engine->relays[place + 1], &engine->relays[place],
                (engine->relay_count - place) * sizeof *engine->relays);
        engine->relay_count++;
        engine->relays[place].source = (u16)source;
    }
    engine->relays[place].relay_seq = relay_seq;
    return true;
}

/* The handler behind the numbering; it returns why it refused, having changed nothing, or 0. */
void relayed(Engine *engine, const u8 *bytes, u32 (*handler)(Engine *, const u8 *)) {
    const RelayedHead *head = (const void *)bytes;
    if (!HAS_BIT(KNOWN_SOURCES, head->source)) {
        event_relay_refused(engine, bytes, REASON_MALFORMED);
    } else if (is_next(engine, head->relay_seq, head->source)) {
        u32 reason = handler(engine, bytes);
        if (reason) event_relay_refused(engine, bytes, reason);
    }
}

/* One INTERNAL_REJECT for the run's first command. A relayed one gives up its number, so the next one fits.

   A command that failed (reason INTERNAL) also counts as poison, which may stop its market right behind that event. */
void skip_command(Engine *engine, const u8 *bytes, u32 reason) {
    const RelayedHead *head = (const void *)bytes;
    u64 relay_seq = 0;
    u32 source = 0;
    if (head->kind >= COMMAND_KIND_CREDIT) {
        relay_seq = head->relay_seq;
        source = head->source;
        if (HAS_BIT(KNOWN_SOURCES, source) && !is_next(engine, relay_seq, source)) return;
    }
    event_internal_reject(engine, head->kind, relay_seq, source, reason, head->market_id, head->account_id);
    if (reason == REASON_INTERNAL) count_skip(engine, head->market_id);
}
