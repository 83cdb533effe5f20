/* Frames as the handlers read them: checks of a whole buffer before anything of it is applied, and texts. */
#include "engine.h"

const u8 NO_CLIENT_ID[CLIENT_ID_SIZE] = {0};

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
   multiple of 4. */
bool is_text(const u8 *field, u32 size) {
    u32 any = 0, at = 0;
    for (; at < size; at += 4) {
        u32 word;
        memcpy(&word, field + at, sizeof word);
        any |= word;
        if ((word - 0x01010101u) & ~word & 0x80808080u) break; /* a NUL is among them */
    }
    if (at < size) {
        for (; at < size && field[at]; at++) any |= field[at];
        for (; at < size; at++)
            if (field[at]) return false;
    }
    return !(any & 0x80808080u);
}
