/* Money without an order: credit, debit, keyed holds, transfer. Units are 10^-8.

   Every handler returns why it refused, having changed nothing, or 0 after one MONEY_MOVED event. An account comes into
   being by its first CREDIT; nothing else makes one except SET_ACCOUNT. */
#include "engine.h"

static bool money_is_well_formed(const MoneyFrame *money) {
    return money->parts == 1 && money->account_id > 0 && is_text(money->key, sizeof money->key);
}

static bool names_counterparty(const MoneyFrame *money) {
    return money->counter != COUNTERPARTY_NONE && HAS_BIT(KNOWN_COUNTERPARTIES, money->counter);
}

/* The account's balance where it has at least the amount available. */
static u32 find_spendable(Engine *engine, const MoneyFrame *money, Balance **balance) {
    if (!find_asset(engine, money->asset_id)) return REASON_UNKNOWN_ASSET;
    Account *account = find_account(engine, money->account_id);
    if (!account) return REASON_UNKNOWN_ACCOUNT;
    *balance = balance_of(engine, account, money->asset_id);
    return (*balance)->available_units >= money->amount_units ? REASON_NONE : REASON_INSUFFICIENT_BALANCE;
}

/* counter -> available of account_id. */
u32 money_credit(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money) || money->amount_units <= 0 || !names_counterparty(money)) return REASON_MALFORMED;
    Asset *asset = find_asset(engine, money->asset_id);
    if (!asset) return REASON_UNKNOWN_ASSET;
    if (money->amount_units > AMOUNT_MAX - asset->external_units) return REASON_OVERFLOW;
    Account *account = find_account(engine, money->account_id);
    if (!account) account = new_account(engine, money->account_id, 0, 0);
    Balance *balance = balance_of(engine, account, money->asset_id);
    balance->available_units += money->amount_units;
    asset->external_units += money->amount_units;
    event_money_moved(engine, money, balance, money->amount_units, 0, NULL);
    return REASON_NONE;
}

/* available of account_id -> counter. */
u32 money_debit(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money) || money->amount_units <= 0 || !names_counterparty(money)) return REASON_MALFORMED;
    Balance *balance;
    u32 reason = find_spendable(engine, money, &balance);
    if (reason) return reason;
    balance->available_units -= money->amount_units;
    find_asset(engine, money->asset_id)->external_units -= money->amount_units;
    event_money_moved(engine, money, balance, money->amount_units, 0, NULL);
    return REASON_NONE;
}

/* available of account_id -> available of to_account_id. */
u32 money_transfer(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money) || money->amount_units <= 0 || money->to_account_id == money->account_id)
        return REASON_MALFORMED;
    Balance *balance;
    u32 reason = find_spendable(engine, money, &balance);
    if (reason) return reason;
    Account *receiver = find_account(engine, money->to_account_id);
    if (!receiver) return REASON_UNKNOWN_ACCOUNT;
    Balance *to_balance = balance_of(engine, receiver, money->asset_id);
    balance->available_units -= money->amount_units;
    to_balance->available_units += money->amount_units;
    event_money_moved(engine, money, balance, money->amount_units, 0, to_balance);
    return REASON_NONE;
}

static KeyedHold *hold_at(const Engine *engine, u32 slot) { return pool_at(&engine->holds, slot); }

u64 hash_of_hold(const Engine *engine, const u8 *key) {
    u64 hash = engine->hash_seed, word;
    for (u32 at = 0; at < sizeof((KeyedHold *)0)->key; at += sizeof word) {
        memcpy(&word, key + at, sizeof word);
        hash = mixed(hash ^ word);
    }
    return hash;
}

/* The hold of that key, or NULL. */
KeyedHold *find_hold(Engine *engine, const u8 *key, u32 *slot) {
    Probe probe = table_probe(&engine->hold_keys, hash_of_hold(engine, key));
    while ((*slot = probe_next(&probe)))
        if (!memcmp(hold_at(engine, *slot)->key, key, sizeof hold_at(engine, *slot)->key)) return hold_at(engine, *slot);
    return NULL;
}

void put_hold(Engine *engine, const u8 *key, u64 account_id, u32 asset_id, i64 amount_units) {
    u32 slot = pool_take(engine, &engine->holds);
    KeyedHold *held = hold_at(engine, slot);
    memcpy(held->key, key, sizeof held->key);
    held->account_id = account_id;
    held->asset_id = asset_id;
    held->amount_units = amount_units;
    table_insert(engine, &engine->hold_keys, hash_of_hold(engine, key), slot);
}

static void drop_hold(Engine *engine, u32 slot) {
    table_remove(engine, &engine->hold_keys, hash_of_hold(engine, hold_at(engine, slot)->key), slot);
    hold_at(engine, slot)->amount_units = 0;
    pool_give(&engine->holds, slot);
}

/* available -> held under the key, which must be new. */
u32 money_hold(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money) || money->amount_units <= 0 || !money->key[0]) return REASON_MALFORMED;
    Balance *balance;
    u32 reason = find_spendable(engine, money, &balance);
    if (reason) return reason;
    u32 slot;
    if (find_hold(engine, money->key, &slot)) return REASON_DUPLICATE_HOLD;
    hold(engine, balance, money->amount_units);
    put_hold(engine, money->key, money->account_id, money->asset_id, money->amount_units);
    event_money_moved(engine, money, balance, money->amount_units, 0, NULL);
    return REASON_NONE;
}

/* The hold of that key where account and asset are those of the command. */
static KeyedHold *find_own_hold(Engine *engine, const MoneyFrame *money, u32 *slot) {
    KeyedHold *held = find_hold(engine, money->key, slot);
    if (!held || held->account_id != money->account_id || held->asset_id != money->asset_id) return NULL;
    return held;
}

/* The whole hold -> available. */
u32 money_release(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money)) return REASON_MALFORMED;
    u32 slot;
    KeyedHold *held = find_own_hold(engine, money, &slot);
    if (!held) return REASON_UNKNOWN_HOLD;
    Balance *balance = balance_of(engine, find_account(engine, money->account_id), money->asset_id);
    const i64 amount_units = held->amount_units;
    release(engine, balance, amount_units);
    drop_hold(engine, slot);
    event_money_moved(engine, money, balance, amount_units, 0, NULL);
    return REASON_NONE;
}

/* amount_units of the hold -> counter, or -> available of to_account_id; the rest of the hold -> available. */
u32 money_capture(Engine *engine, const u8 *bytes) {
    const MoneyFrame *money = (const void *)bytes;
    if (!money_is_well_formed(money) || money->amount_units <= 0) return REASON_MALFORMED;
    if (money->to_account_id == money->account_id || !(money->to_account_id || names_counterparty(money)))
        return REASON_MALFORMED;
    u32 slot;
    KeyedHold *held = find_own_hold(engine, money, &slot);
    if (!held) return REASON_UNKNOWN_HOLD;
    if (money->amount_units > held->amount_units) return REASON_CAPTURE_ABOVE_HOLD;
    Balance *to_balance = NULL;
    if (money->to_account_id) {
        Account *receiver = find_account(engine, money->to_account_id);
        if (!receiver) return REASON_UNKNOWN_ACCOUNT;
        to_balance = balance_of(engine, receiver, money->asset_id);
        to_balance->available_units += money->amount_units;
    } else {
        find_asset(engine, money->asset_id)->external_units -= money->amount_units;
    }
    Balance *balance = balance_of(engine, find_account(engine, money->account_id), money->asset_id);
    const i64 held_units = held->amount_units;
    release(engine, balance, held_units);
    balance->available_units -= money->amount_units;
    drop_hold(engine, slot);
    event_money_moved(engine, money, balance, money->amount_units, held_units - money->amount_units, to_balance);
    return REASON_NONE;
}
