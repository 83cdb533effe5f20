/* Call auction: the one price at which most is traded, found from the levels that cross (matching-rules 7).

   Candidates are the limit prices of resting orders and the reference price. Most volume -> least |surplus| -> nearest to
   the reference -> the higher price. Icebergs count whole. Outside the range from the best ask to the best bid nothing
   would trade, so only the levels within it are looked at: one pass from the lowest to the highest, O(n) of those.

   While a market is in AUCTION the price and its volume are told when they change, at the end of a command. What cannot
   have changed them is not looked at again. */
#include "engine.h"

static i128 distance_between(i128 one, i128 other) { return one < other ? other - one : one - other; }

typedef struct Crossing {
    i64 price_ticks, lots; /* hidden ones too */
} Crossing;

/* The bids down to this price, best first; in engine->scratch. */
static u32 crossing_bids(Engine *engine, Market *market, i64 lowest_ticks) {
    BookSide *side = side_of(market, SIDE_BUY);
    Buffer *found = &engine->scratch;
    found->size = 0;
    for (u64 index = side->best; index != NO_INDEX; index = index_after(engine, side, index)) {
        const i64 price_ticks = price_at(side, index);
        if (price_ticks < lowest_ticks) break;
        const Crossing level = {price_ticks, level_at(engine, side, index)->lots + hidden_lots(engine, side, index)};
        memcpy(buffer_add(engine, found, sizeof level), &level, sizeof level);
    }
    return (u32)(found->size / sizeof(Crossing));
}

/* What would be traded at which price, if the call phase ended now. */
AuctionPrice auction_price(Engine *engine, Market *market) {
    AuctionPrice best = {0, 0};
    if (!is_crossed(market)) return best;
    BookSide *asks = side_of(market, SIDE_SELL);
    const i64 reference = reference_price(market), lowest = best_price(asks);
    const i64 highest = best_price(side_of(market, SIDE_BUY));
    u32 bids_left = crossing_bids(engine, market, lowest);
    const Crossing *bids = (const void *)engine->scratch.data;
    u64 ask = asks->best;
    bool refers = lowest <= reference && reference <= highest;
    i128 demand = 0, supply = 0, best_surplus = 0, best_apart = 0; /* who buys and sells at the candidate */
    for (u32 at = 0; at < bids_left; at++) demand += bids[at].lots;
    for (;;) {
        const i64 ask_ticks = ask == NO_INDEX ? INT64_MAX : price_at(asks, ask);
        i64 price = ask_ticks <= highest ? ask_ticks : INT64_MAX;
        if (bids_left && bids[bids_left - 1].price_ticks < price) price = bids[bids_left - 1].price_ticks;
        if (refers && reference < price) price = reference;
        if (price == INT64_MAX) return best;
        if (price == ask_ticks) supply += level_at(engine, asks, ask)->lots + hidden_lots(engine, asks, ask);
        const i128 lots = demand < supply ? demand : supply, surplus = distance_between(demand, supply);
        const i128 apart = distance_between(price, reference);
        bool better = lots != best.lots ? lots > best.lots : lots > 0;
        if (better && lots == best.lots)
            better = surplus != best_surplus ? surplus < best_surplus : apart <= best_apart; /* of equals the higher */
        if (better) {
            best = (AuctionPrice){price, (i64)lots};
            best_surplus = surplus;
            best_apart = apart;
        }
        if (price == ask_ticks) ask = index_after(engine, asks, ask);
        if (bids_left && bids[bids_left - 1].price_ticks == price) demand -= bids[--bids_left].lots;
        if (price == reference) refers = false;
    }
}

/* Too far from the reference price to be printed; a market without a collar takes every price. */
bool is_outside_collar(const Market *market, i64 price_ticks) {
    const i64 collar_bp = market->settings.collar_bp, reference = reference_price(market);
    return collar_bp > 0 && distance_between(price_ticks, reference) * BASIS_POINTS > (i128)collar_bp * reference;
}

/* The market's price, with an event where it differs from the last one. */
AuctionPrice tell_price(Engine *engine, Market *market) {
    const AuctionPrice found = auction_price(engine, market);
    if (found.price_ticks != market->auction.price_ticks || found.lots != market->auction.lots) {
        market->auction = found;
        event_auction_price(engine, market);
    }
    return found;
}

/* The end of a command while there are auctions: of those whose market it touched. */
void tell_prices(Engine *engine) {
    const u64 told = engine->events.size / EVENT_SIZE, news = engine->seq - engine->auctions_seen;
    bool touched = false;
    for (u64 at = news < told ? told - news : 0; at < told; at++) {
        const EventHeader *event = (const void *)(engine->events.data + at * EVENT_SIZE);
        if (event->kind == EVENT_KIND_AUCTION_PRICE || !event->market_id) continue;
        Market *market = find_market(engine, event->market_id);
        if (!market || market->state != MARKET_STATE_AUCTION) continue;
        market->is_touched = touched = true;
    }
    for (u32 place = 0; touched && place < engine->market_count; place++) {
        Market *market = engine->markets[place];
        if (!market->is_touched) continue;
        market->is_touched = false;
        tell_price(engine, market);
    }
    engine->auctions_seen = engine->seq;
}
