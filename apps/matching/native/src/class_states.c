/* SET_CLASS_STATE: staff moves every market of an asset class at once (T10, E4).

   A market belongs to the classes of its base and its quote asset. Each is moved as by SET_MARKET_STATE, by ascending id.
   Markets that have not been launched or are closed stay as they are, and so do those that could not be moved alone: the
   others must not wait for them. */
#include "engine.h"

static bool is_of_class(const Asset *asset, const u8 *name) {
    return !memcmp(asset->asset_class, name, sizeof asset->asset_class);
}

static bool is_known_class(const Engine *engine, const u8 *name) {
    for (u32 place = 0; place < engine->asset_count; place++)
        if (is_of_class(engine->assets[place], name)) return true;
    return false;
}

/* One SETTINGS_APPLIED, then an event for each market that moved. */
u32 set_class_state(Engine *engine, const u8 *bytes) {
    const SetClassStateFrame *frame = (const void *)bytes;
    const u32 state = frame->state, cause = frame->cause;
    const u8 *name = frame->asset_class;
    if (frame->parts != 1 || frame->flags || frame->market_id || !is_text(name, sizeof frame->asset_class) || !name[0])
        return REASON_MALFORMED;
    if (!HAS_BIT(KNOWN_MARKET_STATES, state) || !HAS_BIT(CAUSES_OF_COMMANDS, cause) || WORKERS_STOPS[cause])
        return REASON_MALFORMED;
    if (!HAS_BIT(STAFF_MAY_SET, state)) return REASON_INVALID_STATE;
    if (!is_known_class(engine, name)) return REASON_UNKNOWN_CLASS;
    event_settings_applied(engine, bytes, 0, 0, 0, 0, 0, 0);
    for (u32 place = 0; place < engine->market_count; place++) {
        Market *market = engine->markets[place];
        if (!is_of_class(market->base_asset, name) && !is_of_class(market->quote_asset, name)) continue;
        if (market->state == MARKET_STATE_PRE_LAUNCH || market->state == MARKET_STATE_CLOSED) continue;
        if (!move_fault(market, state, cause)) move_by_command(engine, market, state, cause, 0, SOURCE_DIRECT);
    }
    return REASON_NONE;
}
