/* Assets, markets and accounts as staff set them, by command.

   Bodies are msgpack: one map, string keys that are all known, whole numbers, strings and lists as the record says, and
   nothing behind it. What MarketSettings.check() of apps/streams/messages.py demands is demanded here. */
#include "engine.h"

typedef struct Reader {
    const u8 *at, *end;
    bool bad;
    bool large; /* a number did not fit and was read as INT64_MAX */
} Reader;

static u64 read_big_endian(Reader *reader, u32 size) {
    if ((size_t)(reader->end - reader->at) < size) {
        reader->bad = true;
        return 0;
    }
    u64 value = 0;
    for (u32 byte = 0; byte < size; byte++) value = value << 8 | *reader->at++;
    return value;
}

/* A whole number; what does not fit is INT64_MAX, which every check refuses. */
static i64 read_number(Reader *reader) {
    u32 tag = (u32)read_big_endian(reader, 1);
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return (i8)tag;
    switch (tag) {
        case 0xcc: return (i64)read_big_endian(reader, 1);
        case 0xcd: return (i64)read_big_endian(reader, 2);
        case 0xce: return (i64)read_big_endian(reader, 4);
        case 0xcf: {
            u64 value = read_big_endian(reader, 8);
            if (value <= INT64_MAX) return (i64)value;
            reader->large = true;
            return INT64_MAX;
        }
        case 0xd0: return (i8)read_big_endian(reader, 1);
        case 0xd1: return (int16_t)read_big_endian(reader, 2);
        case 0xd2: return (i32)read_big_endian(reader, 4);
        case 0xd3: return (i64)read_big_endian(reader, 8);
        default: reader->bad = true; return 0;
    }
}

static bool read_switch(Reader *reader) {
    u32 tag = (u32)read_big_endian(reader, 1);
    if (tag != 0xc2 && tag != 0xc3) reader->bad = true;
    return tag == 0xc3;
}

/* Number of items of a list or map whose short tags begin at `fix`; long ones are `long_tag` and the one behind it. */
static u32 read_length(Reader *reader, u32 fix, u32 fix_room, u32 long_tag) {
    u32 tag = (u32)read_big_endian(reader, 1);
    if (tag >= fix && tag < fix + fix_room) return tag - fix;
    if (tag == long_tag) return (u32)read_big_endian(reader, 2);
    if (tag == long_tag + 1) return (u32)read_big_endian(reader, 4);
    reader->bad = true;
    return 0;
}

static u32 read_map(Reader *reader) { return read_length(reader, 0x80, 16, 0xde); }
static u32 read_list(Reader *reader) { return read_length(reader, 0x90, 16, 0xdc); }

static const u8 *read_string(Reader *reader, u32 *size) {
    u32 tag = (u32)read_big_endian(reader, 1);
    *size = 0;
    if (tag >= 0xa0 && tag < 0xc0)
        *size = tag - 0xa0;
    else if (tag >= 0xd9 && tag <= 0xdb)
        *size = (u32)read_big_endian(reader, 1u << (tag - 0xd9));
    else
        reader->bad = true;
    if (reader->bad || (size_t)(reader->end - reader->at) < *size) {
        reader->bad = true;
        *size = 0;
        return reader->at;
    }
    const u8 *text = reader->at;
    reader->at += *size;
    return text;
}

/* The next key is that one. */
static bool is_key(const u8 *key, u32 size, const char *name) { return size == strlen(name) && !memcmp(key, name, size); }

/* A name of 1 to `room` printable ASCII characters into a field padded with NUL; false for another. */
static bool put_name(u8 *field, u32 room, const u8 *text, u32 size) {
    memset(field, 0, room);
    if (!size || size > room) return false;
    for (u32 at = 0; at < size; at++)
        if (text[at] < 0x20 || text[at] > 0x7e) return false;
    memcpy(field, text, size);
    return true;
}

/* The body of a settings command's frame run. */
static Reader body_of(const ControlFrame *frame) {
    const u8 *bytes = (const void *)frame;
    size_t room = (size_t)frame->parts * FRAME_SIZE - CONTROL_HEAD_SIZE;
    const u8 *start = bytes + CONTROL_HEAD_SIZE;
    return (Reader){start, start + (frame->body_length < room ? frame->body_length : room), false, false};
}

/* A new asset, or another code or class for a known one. */
u32 set_asset(Engine *engine, const u8 *bytes) {
    Reader reader = body_of((const void *)bytes);
    i64 asset_id = 0;
    u8 code[16] = {0}, asset_class[16] = {0};
    bool has_id = false, has_code = false, sound = true, class_is_sound = true;
    for (u32 field = read_map(&reader); field && !reader.bad; field--) {
        u32 size;
        const u8 *key = read_string(&reader, &size);
        if (is_key(key, size, "asset_id")) {
            asset_id = read_number(&reader);
            has_id = true;
        } else if (is_key(key, size, "code")) {
            const u8 *text = read_string(&reader, &size);
            sound = put_name(code, sizeof code, text, size);
            has_code = true;
        } else if (is_key(key, size, "asset_class")) {
            const u8 *text = read_string(&reader, &size);
            class_is_sound = put_name(asset_class, sizeof asset_class, text, size) || !size;
        } else {
            reader.bad = true;
        }
    }
    if (reader.bad || reader.at != reader.end || !has_id || !has_code || !sound || !class_is_sound || asset_id <= 0 ||
        asset_id > INT32_MAX)
        return REASON_INVALID_SETTINGS;
    Asset *asset = find_asset(engine, (u32)asset_id);
    if (!asset) asset = new_asset(engine, (u32)asset_id);
    memcpy(asset->code, code, sizeof code);
    memcpy(asset->asset_class, asset_class, sizeof asset_class);
    event_settings_applied(engine, bytes, (u64)asset_id, 0, 0, 0, 0, 0);
    return REASON_NONE;
}

/* A list of whole numbers; how many it has. The first `room` of them are kept. */
static u32 read_numbers(Reader *reader, i64 *numbers, u32 room) {
    const u32 count = read_list(reader);
    for (u32 at = 0; at < count && !reader->bad; at++) {
        const i64 number = read_number(reader);
        if (at < room) numbers[at] = number;
    }
    return count;
}

static void read_fees(Reader *reader, MarketSettings *settings) {
    settings->fee_count = read_list(reader);
    for (u32 tier = 0; tier < settings->fee_count && !reader->bad; tier++) {
        if (read_list(reader) != 2) reader->bad = true;
        i64 maker_ppm = read_number(reader), taker_ppm = read_number(reader);
        if (tier >= MAX_FEE_TIERS) continue; /* refused later, unless another list follows */
        settings->maker_ppm[tier] = maker_ppm < -PPM || maker_ppm > PPM ? PPM : (i32)maker_ppm;
        settings->taker_ppm[tier] = taker_ppm < -PPM || taker_ppm > PPM ? PPM : (i32)taker_ppm;
    }
}

/* One rule: an array of four or five numbers. */
static void read_breakers(Reader *reader, MarketSettings *settings) {
    settings->breaker_count = read_list(reader);
    for (u32 at = 0; at < settings->breaker_count && !reader->bad; at++) {
        const u32 fields = read_list(reader);
        if (fields != 4 && fields != 5) reader->bad = true;
        i64 numbers[5] = {0, 0, 0, 0, HALT_S_MIN};
        for (u32 field = 0; field < fields && !reader->bad; field++) {
            numbers[field] = read_number(reader);
            if (numbers[field] < 0 || numbers[field] > UINT32_MAX) numbers[field] = 0; /* which no check lets pass */
        }
        if (at < MAX_BREAKER_RULES)
            settings->breaker_rules[at] = (BreakerRule){(u32)numbers[0], (u32)numbers[1], (u32)numbers[2],
                                                        (u32)numbers[3], (u32)numbers[4]};
    }
}

static bool fits_into_a_body(const MarketSettings *settings);

/* Whether the body is a MarketSettings record that check() passes. */
static bool read_market_settings(Reader *reader, MarketSettings *settings) {
    u64 found = 0;
    bool sound = true;
    *settings = (MarketSettings){0};
#define SET_DEFAULT(name, text, position, value) settings->name = value;
    MARKET_SETTINGS_NUMBERS(SET_DEFAULT)
    MARKET_SETTINGS_SWITCHES(SET_DEFAULT)
#undef SET_DEFAULT
    for (u32 field = read_map(reader); field && !reader->bad; field--) {
        u32 size;
        const u8 *key = read_string(reader, &size);
        if (is_key(key, size, "symbol")) {
            const u8 *text = read_string(reader, &size);
            sound = put_name(settings->symbol, sizeof settings->symbol, text, size);
            found |= 1ull << SETTING_SYMBOL;
            continue;
        }
        if (is_key(key, size, "fees")) {
            read_fees(reader, settings);
            found |= 1ull << SETTING_FEES;
            continue;
        }
        if (is_key(key, size, "breaker_rules")) {
            read_breakers(reader, settings);
            found |= 1ull << SETTING_BREAKER_RULES;
            continue;
        }
#define READ_NUMBER(name, text, position, value)                                                                       \
    if (is_key(key, size, text)) {                                                                                     \
        settings->name = read_number(reader);                                                                          \
        found |= 1ull << position;                                                                                     \
        continue;                                                                                                      \
    }
        MARKET_SETTINGS_NUMBERS(READ_NUMBER)
#undef READ_NUMBER
#define READ_SWITCH(name, text, position, value)                                                                       \
    if (is_key(key, size, text)) {                                                                                     \
        settings->name = read_switch(reader);                                                                          \
        found |= 1ull << position;                                                                                     \
        continue;                                                                                                      \
    }
        MARKET_SETTINGS_SWITCHES(READ_SWITCH)
#undef READ_SWITCH
        reader->bad = true;
    }
    if (reader->bad || reader->at != reader->end) return false;
    if ((found & MARKET_SETTINGS_REQUIRED) != MARKET_SETTINGS_REQUIRED || !sound) return false;
    return settings_are_sound(settings) && fits_into_a_body(settings);
}

static bool is_positive_amount(i64 value) { return value > 0 && value <= AMOUNT_MAX; }
static bool is_amount(i64 value) { return value >= 0 && value <= AMOUNT_MAX; }
static bool is_id(i64 value) { return value > 0 && value <= INT32_MAX; }

static bool is_band(i64 down_bp, i64 up_bp) {
    return down_bp >= 0 && down_bp <= BASIS_POINTS && (up_bp == 0 || (up_bp >= BASIS_POINTS && up_bp <= INT32_MAX));
}

static bool breakers_are_sound(const MarketSettings *settings) {
    if (settings->breaker_count > MAX_BREAKER_RULES || !is_amount(settings->breaker_min_notional_units)) return false;
    for (u32 at = 0; at < settings->breaker_count; at++) {
        const BreakerRule *rule = &settings->breaker_rules[at];
        if (!rule->rule_id || rule->rule_id > UINT16_MAX || !HAS_BIT(KNOWN_BREAKER_MEASURES, rule->measure)) return false;
        if (!rule->bp || rule->bp >= BASIS_POINTS) return false;
        if (rule->window_ms < WINDOW_MS_MIN || rule->window_ms > WINDOW_MS_MAX) return false;
        if (rule->halt_s < HALT_S_MIN || rule->halt_s > HALT_S_MAX) return false;
        if (at && rule->rule_id <= settings->breaker_rules[at - 1].rule_id) return false;
        if (rule->measure == BREAKER_MEASURE_VWAP &&
            (settings->max_price_ticks > VWAP_PRICE_TICKS_MAX || settings->max_lots > VWAP_LOTS_MAX))
            return false;
    }
    return true;
}

/* The call phase is part of the halt. */
static bool auctions_are_sound(const MarketSettings *settings) {
    if (settings->call_s < 0 || settings->call_s > CALL_S_MAX) return false;
    for (u32 at = 0; at < settings->breaker_count; at++)
        if (settings->call_s >= settings->breaker_rules[at].halt_s) return false;
    return settings->collar_bp >= 0 && settings->collar_bp <= INT32_MAX && settings->max_extensions >= 0 &&
           settings->max_extensions <= MAX_EXTENSIONS;
}

/* Bytes of a number in msgpack, in its shortest form. */
static u32 number_bytes(i64 number) {
    if (number >= 0) return number < 0x80 ? 1 : number <= UINT8_MAX ? 2 : number <= UINT16_MAX ? 3 : number <= UINT32_MAX ? 5 : 9;
    return number >= -32 ? 1 : number >= INT8_MIN ? 2 : number >= INT16_MIN ? 3 : number >= INT32_MIN ? 5 : 9;
}

static u32 list_bytes(u32 count) { return count < 16 ? 1 : 3; }
static u32 text_bytes(size_t size) { return (u32)size + (size < 32 ? 1 : 2); }

/* The settings fit into a command again in their shortest form, which leaves out what is at its default. */
static bool fits_into_a_body(const MarketSettings *settings) {
    size_t name = 0;
    while (name < sizeof settings->symbol && settings->symbol[name]) name++;
    u32 fields = 0, bytes = 0;
#define COUNT_FIELD(field, text, position, value)                                                                      \
    if (MARKET_SETTINGS_REQUIRED >> position & 1 || settings->field != value) {                                                     \
        fields++;                                                                                                      \
        bytes += text_bytes(sizeof text - 1) + number_bytes(settings->field);                                          \
    }
    MARKET_SETTINGS_NUMBERS(COUNT_FIELD)
    MARKET_SETTINGS_SWITCHES(COUNT_FIELD)
#undef COUNT_FIELD
    fields += 2;
    bytes += text_bytes(sizeof "symbol" - 1) + text_bytes(name) + text_bytes(sizeof "fees" - 1) +
             list_bytes(settings->fee_count);
    for (u32 tier = 0; tier < settings->fee_count; tier++)
        bytes += 1 + number_bytes(settings->maker_ppm[tier]) + number_bytes(settings->taker_ppm[tier]);
    if (settings->breaker_count) {
        fields++;
        bytes += text_bytes(sizeof "breaker_rules" - 1) + list_bytes(settings->breaker_count);
    }
    for (u32 at = 0; at < settings->breaker_count; at++) {
        const BreakerRule *rule = &settings->breaker_rules[at];
        bytes += 1 + number_bytes(rule->rule_id) + number_bytes(rule->measure) + number_bytes(rule->bp) +
                 number_bytes(rule->window_ms) + number_bytes(rule->halt_s);
    }
    return bytes + list_bytes(fields) <= BODY_BYTES_MAX;
}

/* MarketSettings.check() of apps/streams/messages.py, but for the name and the size. */
bool settings_are_sound(const MarketSettings *settings) {
    if (!is_id(settings->market_id) || !is_id(settings->base_asset_id) || !is_id(settings->quote_asset_id) ||
        settings->base_asset_id == settings->quote_asset_id)
        return false;
    if (settings->settings_version <= 0 || settings->settings_version > UINT32_MAX) return false;
    if (!is_positive_amount(settings->tick_size) || !is_positive_amount(settings->lot_size)) return false;
    const i128 product = (i128)settings->tick_size * settings->lot_size;
    if (product % SCALE || product / SCALE > AMOUNT_MAX) return false;
    if (settings->min_price_ticks <= 0 || settings->min_price_ticks > settings->max_price_ticks ||
        settings->max_price_ticks > AMOUNT_MAX || settings->initial_price_ticks < settings->min_price_ticks ||
        settings->initial_price_ticks > settings->max_price_ticks)
        return false;
    if (settings->min_lots <= 0 || settings->min_lots > settings->max_lots || settings->market_max_lots <= 0) return false;
    if ((i128)settings->max_lots * settings->lot_size > AMOUNT_MAX ||
        (i128)settings->market_max_lots * settings->lot_size > AMOUNT_MAX)
        return false;
    if (!is_amount(settings->min_notional_units) || !is_amount(settings->max_notional_units)) return false;
    if (!is_band(settings->bid_down_bp, settings->bid_up_bp) || !is_band(settings->ask_down_bp, settings->ask_up_bp))
        return false;
    if (settings->max_open_orders < 0 || settings->max_open_orders > INT32_MAX) return false;
    if (settings->max_iceberg_orders < 0 || settings->max_iceberg_orders > INT32_MAX) return false;
    if (settings->max_order_lists < 0 || settings->max_order_lists > INT32_MAX) return false;
    if (settings->max_order_amends < 0 || settings->max_order_amends > INT32_MAX) return false;
    if (settings->park_expiry_s <= 0 || settings->park_expiry_s > PARK_EXPIRY_S_MAX) return false;
    if (settings->max_conditional_orders < 0 || settings->max_conditional_orders > INT32_MAX) return false;
    if (settings->conditional_buffer_bp < 0 || settings->conditional_buffer_bp > BASIS_POINTS) return false;
    if (!settings->fee_count || settings->fee_count > MAX_FEE_TIERS) return false;
    i32 lowest_taker_ppm = INT32_MAX;
    for (u32 tier = 0; tier < settings->fee_count; tier++) {
        const i32 maker_ppm = settings->maker_ppm[tier], taker_ppm = settings->taker_ppm[tier];
        if (taker_ppm < 0 || taker_ppm >= 500000 || maker_ppm >= 500000) return false;
        if (taker_ppm < lowest_taker_ppm) lowest_taker_ppm = taker_ppm;
    }
    for (u32 tier = 0; tier < settings->fee_count; tier++)
        if (-(i64)settings->maker_ppm[tier] * 10 > (i64)lowest_taker_ppm * 9) return false;
    return breakers_are_sound(settings) && auctions_are_sound(settings);
}

/* A new market, which starts in PRE_LAUNCH, or newer settings for a known one.

   Tick and lot change only in an empty market that is closed or not launched; prices in old ticks mean nothing in new
   ones, so the last price is forgotten then. The assets never change. */
u32 set_market(Engine *engine, const u8 *bytes) {
    const ControlFrame *frame = (const void *)bytes;
    Reader reader = body_of(frame);
    MarketSettings settings;
    if (!read_market_settings(&reader, &settings) || (u64)settings.market_id != frame->market_id)
        return REASON_INVALID_SETTINGS;
    Asset *base = find_asset(engine, (u32)settings.base_asset_id);
    Asset *quote = find_asset(engine, (u32)settings.quote_asset_id);
    if (!base || !quote) return REASON_UNKNOWN_ASSET;
    Market *market = find_market(engine, frame->market_id);
    if (!market) {
        new_market(engine, &settings, base, quote);
    } else {
        if (settings.settings_version <= market->settings_version) return REASON_STALE_SETTINGS;
        if (market->base_asset != base || market->quote_asset != quote) return REASON_INVALID_SETTINGS;
        if (settings.tick_size != market->settings.tick_size || settings.lot_size != market->settings.lot_size) {
            const bool may_change = market->state == MARKET_STATE_PRE_LAUNCH || market->state == MARKET_STATE_CLOSED;
            if (!may_change || !market_is_empty(market)) return REASON_MARKET_IN_USE;
            market->last_price_ticks = 0;
            drop_breaker(engine, market);
        }
        apply_settings(engine, market, &settings);
    }
    event_settings_applied(engine, bytes, frame->market_id, frame->market_id, 0, (u32)settings.settings_version, 0, 0);
    return REASON_NONE;
}

/* Family and fee tier; the family only without open orders (matching-rules 4). Makes a new account. */
u32 set_account(Engine *engine, const u8 *bytes) {
    const SetAccountFrame *frame = (const void *)bytes;
    if (frame->parts != 1 || frame->flags & ~ACCOUNT_FLAG_KEEP_FAMILY || !frame->account_id ||
        frame->fee_tier >= MAX_FEE_TIERS)
        return REASON_MALFORMED;
    Account *account = find_account(engine, frame->account_id);
    u64 family_id = frame->family_id;
    if (frame->flags & ACCOUNT_FLAG_KEEP_FAMILY)
        family_id = account ? account->family_id : frame->account_id;
    else if (!family_id)
        family_id = frame->account_id;
    if (!account) {
        new_account(engine, frame->account_id, family_id, frame->fee_tier);
    } else {
        if (account->family_id != family_id && has_open_orders(engine, account)) return REASON_ACCOUNT_HAS_ORDERS;
        join_family(engine, account, family_id);
        account->fee_tier = frame->fee_tier;
    }
    event_settings_applied(engine, bytes, frame->account_id, 0, frame->account_id, 0, family_id, frame->fee_tier);
    return REASON_NONE;
}

/* AllocationSettings of apps/streams/messages.py. */
typedef struct AllocationSettings {
    i64 account_id, rule_id, method;
    i64 accounts[MAX_ALLOCATION_ACCOUNTS], weights_bp[MAX_ALLOCATION_ACCOUNTS];
    u32 account_count, weight_count;
} AllocationSettings;

enum { ALLOCATION_ACCOUNT = 1, ALLOCATION_RULE = 2, ALLOCATION_METHOD = 4, ALLOCATION_ACCOUNTS = 8 };

static bool read_allocation(Reader *reader, AllocationSettings *settings) {
    u32 found = 0;
    *settings = (AllocationSettings){0};
    for (u32 field = read_map(reader); field && !reader->bad; field--) {
        u32 size;
        const u8 *key = read_string(reader, &size);
        if (is_key(key, size, "account_id")) {
            settings->account_id = read_number(reader);
            found |= ALLOCATION_ACCOUNT;
        } else if (is_key(key, size, "rule_id")) {
            settings->rule_id = read_number(reader);
            found |= ALLOCATION_RULE;
        } else if (is_key(key, size, "method")) {
            settings->method = read_number(reader);
            found |= ALLOCATION_METHOD;
        } else if (is_key(key, size, "accounts")) {
            settings->account_count = read_numbers(reader, settings->accounts, MAX_ALLOCATION_ACCOUNTS);
            found |= ALLOCATION_ACCOUNTS;
        } else if (is_key(key, size, "weights_bp")) {
            settings->weight_count = read_numbers(reader, settings->weights_bp, MAX_ALLOCATION_ACCOUNTS);
        } else {
            reader->bad = true;
        }
    }
    return !reader->bad && !reader->large && reader->at == reader->end &&
           found == (ALLOCATION_ACCOUNT | ALLOCATION_RULE | ALLOCATION_METHOD | ALLOCATION_ACCOUNTS);
}

/* AllocationSettings.check(). */
static bool allocation_is_sound(const AllocationSettings *settings) {
    if (settings->account_id <= 0 || !is_id(settings->rule_id)) return false;
    if (!HAS_BIT(KNOWN_ALLOCATION_METHODS, settings->method) || settings->account_count > MAX_ALLOCATION_ACCOUNTS)
        return false;
    for (u32 at = 0; at < settings->account_count; at++) {
        if (settings->accounts[at] <= 0) return false;
        for (u32 before = 0; before < at; before++)
            if (settings->accounts[before] == settings->accounts[at]) return false;
    }
    if (settings->method != ALLOCATION_METHOD_FIXED || !settings->account_count) return !settings->weight_count;
    if (settings->weight_count != settings->account_count) return false;
    i64 sum = 0;
    for (u32 at = 0; at < settings->weight_count; at++) {
        if (settings->weights_bp[at] <= 0 || settings->weights_bp[at] > BASIS_POINTS) return false;
        sum += settings->weights_bp[at];
    }
    return sum == BASIS_POINTS;
}

/* A new allocation rule of an account, another content for a known one, or, without accounts, its end (T12).

   Open block orders keep their shares. Whether the accounts are still in the owner's family is asked again for each new
   one. */
u32 set_allocation(Engine *engine, const u8 *bytes) {
    const ControlFrame *frame = (const void *)bytes;
    Reader reader = body_of(frame);
    AllocationSettings settings;
    if (!read_allocation(&reader, &settings) || !allocation_is_sound(&settings) ||
        (u64)settings.account_id != frame->account_id)
        return REASON_INVALID_SETTINGS;
    Account *owner = find_account(engine, frame->account_id);
    if (!owner) return REASON_UNKNOWN_ACCOUNT;
    if (settings.account_count) {
        AllocationRule rule = {
            .rule_id = (u32)settings.rule_id,
            .method = (u32)settings.method,
            .count = settings.account_count,
        };
        for (u32 at = 0; at < settings.account_count; at++) {
            rule.accounts[at] = (u64)settings.accounts[at];
            rule.weights_bp[at] = (u32)settings.weights_bp[at];
        }
        if (!is_of_family(engine, &rule, owner)) return REASON_ALLOCATION_FAMILY;
        put_rule(engine, owner, &rule);
    } else {
        drop_rule(engine, owner, (u32)settings.rule_id);
    }
    event_settings_applied(engine, bytes, (u64)settings.rule_id, 0, frame->account_id, 0, 0, 0);
    return REASON_NONE;
}
