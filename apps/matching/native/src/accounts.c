/* Accounts, their balances and seats, and the assets these are in.

   Layout
       Accounts, balances and seats stand in pools and never move. Tables find an account by its id, a balance by account
       and asset, a seat by account and market. A seat has pointers to the two balances it trades with, so an order finds
       its money by one look-up. */
#include "engine.h"

static u64 hash_of_account(const Engine *engine, u64 account_id) { return mixed(account_id ^ engine->hash_seed); }

static u64 hash_of_seat(const Engine *engine, u64 account_id, u32 market_id) {
    return mixed((account_id * 0x9e3779b97f4a7c15u + market_id) ^ engine->hash_seed);
}

static u64 hash_of_balance(const Engine *engine, const Account *account, u32 asset_id) {
    return mixed(((u64)account->slot << 32 | asset_id) ^ engine->hash_seed);
}

Account *find_account(Engine *engine, u64 account_id) {
    Probe probe = table_probe(&engine->account_ids, hash_of_account(engine, account_id));
    for (u32 slot; (slot = probe_next(&probe));)
        if (account_at(engine, slot)->account_id == account_id) return account_at(engine, slot);
    return NULL;
}

Account *new_account(Engine *engine, u64 account_id, u64 family_id, u32 fee_tier) {
    u32 slot = pool_take(engine, &engine->accounts);
    Account *account = account_at(engine, slot);
    account->account_id = account_id;
    account->family_id = account_id;
    account->fee_tier = fee_tier;
    account->slot = slot;
    if (family_id) join_family(engine, account, family_id);
    table_insert(engine, &engine->account_ids, hash_of_account(engine, account_id), slot);
    return account;
}

Balance *balance_of(Engine *engine, Account *account, u32 asset_id) {
    u64 hash = hash_of_balance(engine, account, asset_id);
    Probe probe = table_probe(&engine->balance_ids, hash);
    for (u32 slot; (slot = probe_next(&probe));) {
        Balance *balance = balance_at(engine, slot);
        if (balance->account == account && balance->asset_id == asset_id) return balance;
    }
    u32 slot = pool_take(engine, &engine->balances);
    Balance *balance = balance_at(engine, slot);
    balance->account = account;
    balance->asset_id = asset_id;
    balance->next = account->first_balance;
    account->first_balance = slot;
    table_insert(engine, &engine->balance_ids, hash, slot);
    return balance;
}

Seat *find_seat(Engine *engine, u64 account_id, u32 market_id) {
    Probe probe = table_probe(&engine->seat_ids, hash_of_seat(engine, account_id, market_id));
    for (u32 slot; (slot = probe_next(&probe));) {
        Seat *seat = seat_at(engine, slot);
        if (seat->account->account_id == account_id && seat->market->market_id == market_id) return seat;
    }
    return NULL;
}

Seat *take_seat(Engine *engine, Account *account, Market *market) {
    Balance *base = balance_of(engine, account, market->base_asset->asset_id);
    Balance *quote = balance_of(engine, account, market->quote_asset->asset_id);
    u32 slot = pool_take(engine, &engine->seats);
    Seat *seat = seat_at(engine, slot);
    *seat = (Seat){
        .account = account,
        .market = market,
        .base = base,
        .quote = quote,
        .slot = slot,
    };
    seat->next = account->first_seat;
    account->first_seat = slot;
    table_insert(engine, &engine->seat_ids, hash_of_seat(engine, account->account_id, market->market_id), slot);
    return seat;
}

/* Its own, or block orders in which it has a share. */
bool has_open_orders(Engine *engine, const Account *account) {
    if (account->open_shares) return true;
    for (u32 slot = account->first_seat; slot; slot = seat_at(engine, slot)->next)
        if (seat_at(engine, slot)->open_orders) return true;
    return false;
}

/* Where an id stands, or belongs, in a list of pointers to structs that begin with it. */
static u32 place_of_id(void *const *list, u32 count, u32 id) {
    u32 low = 0;
    while (low < count) {
        u32 middle = low + (count - low) / 2, found;
        memcpy(&found, list[middle], sizeof found);
        if (found < id)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/* The list with room at `place`. */
static void **list_with_room(Engine *engine, void **list, u32 count, u32 place) {
    void **longer = memory_take(engine, (count + 1) * sizeof *longer);
    if (list) {
        memcpy(longer, list, place * sizeof *list);
        memcpy(longer + place + 1, list + place, (count - place) * sizeof *list);
        memory_give(engine, list, count * sizeof *list);
    }
    return longer;
}

Asset *find_asset(Engine *engine, u32 asset_id) {
    u32 place = place_of_id((void *const *)engine->assets, engine->asset_count, asset_id);
    if (place < engine->asset_count && engine->assets[place]->asset_id == asset_id) return engine->assets[place];
    return NULL;
}

Asset *new_asset(Engine *engine, u32 asset_id) {
    Asset *asset = pool_at(&engine->assets_pool, pool_take(engine, &engine->assets_pool));
    u32 place = place_of_id((void *const *)engine->assets, engine->asset_count, asset_id);
    asset->asset_id = asset_id;
    engine->assets = (Asset **)list_with_room(engine, (void **)engine->assets, engine->asset_count, place);
    engine->assets[place] = asset;
    engine->asset_count++;
    return asset;
}
