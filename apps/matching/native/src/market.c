/* One market: its settings, its state, its book and the ids it gives out. */
#include "engine.h"

Market *find_market(const Engine *engine, u32 market_id) {
    u32 place = place_of_id((void *const *)engine->markets, engine->market_count, market_id);
    if (place < engine->market_count && engine->markets[place]->market_id == market_id) return engine->markets[place];
    return NULL;
}

Market *new_market(Engine *engine, const MarketSettings *settings, Asset *base, Asset *quote) {
    u32 slot = pool_take(engine, &engine->markets_pool);
    Market *market = pool_at(&engine->markets_pool, slot);
    market->market_id = (u32)settings->market_id;
    market->slot = slot;
    market->base_asset = base;
    market->quote_asset = quote;
    market->state = MARKET_STATE_PRE_LAUNCH;
    market->cause = HALT_CAUSE_NONE;
    market->trigger_high = INT64_MAX;
    side_init(&market->sides[SIDE_BUY], SIDE_BUY);
    side_init(&market->sides[SIDE_SELL], SIDE_SELL);
    apply_settings(engine, market, settings);
    u32 place = place_of_id((void *const *)engine->markets, engine->market_count, market->market_id);
    engine->markets = (Market **)list_with_room(engine, (void **)engine->markets, engine->market_count, place);
    engine->markets[place] = market;
    engine->market_count++;
    return market;
}

/* Use these settings from now on. An account in a tier above the market's last one trades at the last one. */
void apply_settings(Engine *engine, Market *market, const MarketSettings *settings) {
    market->settings = *settings;
    market->settings_version = (u32)settings->settings_version;
    market->lot_size = settings->lot_size;
    market->unit_factor = (i64)((i128)settings->tick_size * settings->lot_size / SCALE);
    for (u32 tier = 0; tier < MAX_FEE_TIERS; tier++) {
        u32 own = tier < settings->fee_count ? tier : settings->fee_count - 1;
        market->maker_ppm[tier] = settings->maker_ppm[own];
        market->taker_ppm[tier] = settings->taker_ppm[own];
    }
    renew_breaker(engine, market);
}

/* No order is open, in the book or waiting. */
bool market_is_empty(const Market *market) { return !market->open_orders; }

bool is_crossed(const Market *market) {
    const BookSide *bids = &market->sides[SIDE_BUY], *asks = &market->sides[SIDE_SELL];
    return bids->best != NO_INDEX && asks->best != NO_INDEX && best_price(bids) >= best_price(asks);
}
