/* The strategy that an account says an order belongs to, in the order's second frame.

   It decides nothing and is no part of the state: ORDER_ACCEPTED hands it on, and nothing tells it again. So it is none of
   the parameters that make a repeat by client id either. */
#include "engine.h"

#define ORDER_PARTS_MAX 2

/* Of an order whose second frame is one, as is_of_strategy() has found; NULL where it has none. */
const StrategyFrame *strategy_of(const PlaceOrderFrame *frame) {
    return frame->parts == ORDER_PARTS_MAX ? (const void *)((const u8 *)frame + FRAME_SIZE) : NULL;
}

/* Whether what stands behind an order of more or less than one frame is a strategy. */
bool is_of_strategy(const PlaceOrderFrame *frame) {
    const StrategyFrame *strategy = strategy_of(frame);
    return strategy && HAS_BIT(STRATEGY_GIVEN, strategy->given) &&
           (!strategy->strategy_id || strategy->given & ACCEPTED_FLAG_STRATEGY_ID) &&
           (!strategy->strategy_type || strategy->given & ACCEPTED_FLAG_STRATEGY_TYPE);
}

/* Where each of the `count` orders behind the head of a run of `parts` frames starts; false unless just they make it up. */
bool find_orders(const u8 *bytes, i64 parts, u32 count, const u8 **places) {
    i64 at = 1;
    for (u32 place = 0; place < count; place++) {
        if (at >= parts) return false;
        places[place] = bytes + at * FRAME_SIZE;
        const u32 own_parts = places[place][2];
        if (own_parts < 1 || own_parts > ORDER_PARTS_MAX) return false;
        at += own_parts;
    }
    return at == parts;
}
