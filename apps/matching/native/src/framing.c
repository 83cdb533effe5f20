/* Frames as the handlers read them: checks of a whole buffer before anything of it is applied, and texts. */
#include "engine.h"

const u8 NO_CLIENT_ID[CLIENT_ID_SIZE] = {0};

#define ONES 0x0101010101010101u
static const u64 KNOWN_COMMANDS[4] = KNOWN_COMMAND_WORDS;

/* Fails with NBP_FRAME_ERROR unless all runs are whole and of known kinds and version. */
void check_framing(Engine *engine, const u8 *frames, size_t size) {
    if (size % FRAME_SIZE)
        fail(engine, NBP_FRAME_ERROR, "%zu bytes are not whole %d-byte frames", size, FRAME_SIZE);
    for (size_t offset = 0; offset < size;) {
        const u32 version = frames[offset], kind = frames[offset + 1], parts = frames[offset + 2];
        if (version != COMMAND_VERSION || !(KNOWN_COMMANDS[kind >> 6] >> (kind & 63) & 1))
            fail(engine, NBP_FRAME_ERROR, "unknown command version %u, kind %u", version, kind);
        const size_t length = (size_t)parts * FRAME_SIZE;
        if (parts < 1 || parts > MAX_PARTS || length > size - offset)
            fail(engine, NBP_FRAME_ERROR, "a run of %u frames at byte %zu does not fit", parts, offset);
        offset += length;
    }
}

/* A PLACE_ORDER frame of that market and account; the frames behind a head are not checked before. */
bool is_order_of(const u8 *frame, u32 market_id, u64 account_id) {
    const CommandHeader *header = (const void *)frame;
    return header->version == COMMAND_VERSION && header->kind == COMMAND_KIND_PLACE_ORDER &&
           header->market_id == market_id && header->account_id == account_id;
}

/* A NUL-padded field of ASCII characters without NUL among them, which every reader can decode and store. `size` is a
   multiple of 4. Word by word, because every order and every cancel has such fields, most of them empty or full of NULs. */
bool is_text(const u8 *field, u32 size) {
    u64 any = 0, ended = 0; /* all bits, once a NUL was seen */
    for (u32 at = 0; at < size; at += 8) {
        u64 word = 0;
        if (size - at >= 8) memcpy(&word, field + at, 8);
        else memcpy(&word, field + at, 4);
        any |= word;
        if (word & ended) return false;
        const u64 nuls = (word - ONES) & ~word & ONES << 7; /* the lowest bit is that of the first NUL */
        if (!nuls) continue;
        ended = ~(u64)0;
        if (word >> (__builtin_ctzll(nuls) - 7)) return false;
    }
    return !(any & ONES << 7);
}
