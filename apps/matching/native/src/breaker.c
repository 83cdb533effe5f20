/* Circuit breakers: a print too far from what its window has seen does not happen (T9, matching-rules 6).

   Layout
       One window for each rule, in rings of BREAKER_BUCKETS and some buckets: bucket k = t_ms / len_ms counts at `now` while
       (k + 1) x len_ms > now - window_ms. A PRICE window has the lowest, highest and last print of each bucket, `before`,
       the last print of the newest bucket that has left, and monotonic queues of what may still become lowest or highest. A
       VWAP window has the sums of price x lots and of lots.

   Rule, and how a sweep pays one comparison a print for it: breaker.py, step by step. Where that remembers the taker to
   ask later what it has filled, this one is told when the sweep ends (sweep_ended): between a taker's sweep and the next
   look at a VWAP window nothing else fills. */
#include "engine.h"

#define NO_PRICE INT64_MAX

static bool is_vwap(const Window *window) { return window->rule.measure == BREAKER_MEASURE_VWAP; }

static Bucket *bucket_at(Window *window, u32 position) {
    return &window->buckets[(window->first + position) % WINDOW_ROOM];
}

static Bucket *newest_bucket(Window *window) { return bucket_at(window, window->count - 1); }

static PricePoint *point_at(PriceQueue *queue, u32 position) {
    return &queue->points[(queue->first + position) % WINDOW_ROOM];
}

/* Forget every print but one price, 0 for none. A VWAP window has nothing to measure then. */
static void restart_window(Window *window, i64 before) {
    window->before = is_vwap(window) ? 0 : before;
    window->first = window->count = 0;
    window->lows.first = window->lows.count = 0;
    window->highs.first = window->highs.count = 0;
    window->value = window->lots = 0;
}

static bool bucket_counts(const Window *window, u64 k, u64 now_ms) {
    return (i128)(k + 1) * window->len_ms > (i128)now_ms - window->rule.window_ms;
}

static void drop_first_points(PriceQueue *queue, u64 k) {
    while (queue->count && point_at(queue, 0)->k <= k) {
        queue->first = (queue->first + 1) % WINDOW_ROOM;
        queue->count--;
    }
}

/* Let go what has left by now. */
static void advance_window(Window *window, u64 now_ms) {
    while (window->count && !bucket_counts(window, bucket_at(window, 0)->k, now_ms)) {
        const Bucket *gone = bucket_at(window, 0);
        window->first = (window->first + 1) % WINDOW_ROOM;
        window->count--;
        if (is_vwap(window)) {
            window->value -= gone->value;
            window->lots -= gone->lots;
            continue;
        }
        window->before = gone->last;
        drop_first_points(&window->lows, gone->k);
        drop_first_points(&window->highs, gone->k);
    }
}

static Bucket *add_bucket(Engine *engine, Window *window, Bucket bucket) {
    if (window->count == WINDOW_ROOM) fail(engine, NBP_INVARIANT_BROKEN, "a breaker's window has too many buckets");
    window->count++;
    *newest_bucket(window) = bucket;
    return newest_bucket(window);
}

/* `sign` is 1 for the lowest price and -1 for the highest. */
static void queue_price(PriceQueue *queue, u64 k, i64 price, i64 sign) {
    while (queue->count && sign * point_at(queue, queue->count - 1)->price >= sign * price) queue->count--;
    if (queue->count && point_at(queue, queue->count - 1)->k == k) return;
    queue->count++;
    *point_at(queue, queue->count - 1) = (PricePoint){k, price};
}

/* A print, not older than any before it. */
static void take_price(Engine *engine, Window *window, u64 at_ms, i64 price) {
    const u64 k = at_ms / window->len_ms;
    if (!window->count || newest_bucket(window)->k != k) {
        add_bucket(engine, window, (Bucket){.k = k, .low = price, .high = price, .last = price});
    } else {
        Bucket *bucket = newest_bucket(window);
        bucket->last = price;
        if (bucket->low <= price && price <= bucket->high) return;
        if (price < bucket->low) bucket->low = price;
        if (price > bucket->high) bucket->high = price;
    }
    queue_price(&window->lows, k, price, 1);
    queue_price(&window->highs, k, price, -1);
}

static void take_sums(Engine *engine, Window *window, u64 at_ms, i128 value, i128 lots) {
    const u64 k = at_ms / window->len_ms;
    if (!window->count || newest_bucket(window)->k != k) add_bucket(engine, window, (Bucket){.k = k});
    newest_bucket(window)->value += value;
    newest_bucket(window)->lots += lots;
    window->value += value;
    window->lots += lots;
}

/* Lowest price to measure against, NO_PRICE without one. */
static i64 window_low(Window *window) {
    const i64 low = window->lows.count ? point_at(&window->lows, 0)->price : NO_PRICE;
    return window->before && window->before < low ? window->before : low;
}

/* Highest price to measure against, 0 without one. */
static i64 window_high(Window *window) {
    const i64 high = window->highs.count ? point_at(&window->highs, 0)->price : 0;
    return window->before > high ? window->before : high;
}

/* Whether the rule forbids a print at `price` of a taker whose own first one is or was at `first`. `value` and `lots` are
   the window's sums with the taker's own prints. */
static bool trips(Window *window, i64 first, i64 price, i128 value, i128 lots) {
    const i128 bp = window->rule.bp;
    if (is_vwap(window)) {
        i128 at_price, apart;
        if (!lots) return false;
        if (__builtin_mul_overflow(price, lots, &at_price)) return true; /* far above what `value` may be */
        apart = at_price > value ? at_price - value : value - at_price;
        return __builtin_mul_overflow(apart, (i128)BASIS_POINTS, &apart) || apart > bp * value;
    }
    i128 low = window_low(window), high = window_high(window);
    if (first < low) low = first;
    if (first > high) high = first;
    return (price - low) * BASIS_POINTS > bp * low || (high - price) * BASIS_POINTS > bp * high;
}

static i128 smaller(i128 one, i128 other) { return one < other ? one : other; }
static i128 larger(i128 one, i128 other) { return one > other ? one : other; }
static i128 rounded_up(i128 numerator, i128 denominator) { return (numerator + denominator - 1) / denominator; }

/* How high the taker's rising prints may go at least, where the one at `price` does not trip. */
static i128 highest_ticks(Window *window, i64 first, i64 price, i128 value, i128 lots) {
    const i128 up = BASIS_POINTS + window->rule.bp;
    if (!is_vwap(window)) return smaller(window_low(window), first) * up / BASIS_POINTS;
    const i128 own = price * up / BASIS_POINTS;
    return lots ? smaller(own, value * up / (BASIS_POINTS * lots)) : own;
}

/* How low the taker's falling prints may go at least, where the one at `price` does not trip. */
static i128 lowest_ticks(Window *window, i64 first, i64 price, i128 value, i128 lots) {
    const i128 down = BASIS_POINTS - (i128)window->rule.bp;
    if (!is_vwap(window)) return rounded_up(larger(window_high(window), first) * down, BASIS_POINTS);
    const i128 own = rounded_up(price * down, BASIS_POINTS);
    return lots ? larger(own, rounded_up(value * down, BASIS_POINTS * lots)) : own;
}

static Window *window_of(Engine *engine, const Breaker *breaker, u32 position) {
    return pool_at(&engine->windows, breaker->windows[position]);
}

static void forget_prints(Breaker *breaker) {
    breaker->printed = false;
    breaker->taker = NULL;
    breaker->quiet_until_ms = 0;
    breaker->quiet_low = breaker->quiet_high = 0;
}

static u32 new_window(Engine *engine, const BreakerRule *rule, i64 before) {
    const u32 slot = pool_take(engine, &engine->windows);
    Window *window = pool_at(&engine->windows, slot);
    window->rule = *rule;
    window->len_ms = (rule->window_ms + BREAKER_BUCKETS - 1) / BREAKER_BUCKETS;
    restart_window(window, before);
    return slot;
}

/* The settings' rules from now on: an unchanged one keeps its window, the others start from the last price. */
void renew_breaker(Engine *engine, Market *market) {
    Breaker *breaker = &market->breaker;
    const MarketSettings *settings = &market->settings;
    fold_prints(engine, market);
    u32 windows[MAX_BREAKER_RULES], count = settings->breaker_count;
    for (u32 at = 0; at < count; at++) {
        windows[at] = 0;
        for (u32 old = 0; old < breaker->count; old++)
            if (breaker->windows[old] && !memcmp(&window_of(engine, breaker, old)->rule, &settings->breaker_rules[at],
                                                 sizeof settings->breaker_rules[at])) {
                windows[at] = breaker->windows[old];
                breaker->windows[old] = 0;
                break;
            }
        if (!windows[at]) windows[at] = new_window(engine, &settings->breaker_rules[at], market->last_price_ticks);
    }
    drop_breaker(engine, market);
    breaker->has_vwap = false;
    for (u32 at = 0; at < count; at++) {
        breaker->windows[at] = windows[at];
        breaker->has_vwap |= settings->breaker_rules[at].measure == BREAKER_MEASURE_VWAP;
    }
    breaker->count = count;
}

void drop_breaker(Engine *engine, Market *market) {
    Breaker *breaker = &market->breaker;
    for (u32 at = 0; at < breaker->count; at++)
        if (breaker->windows[at]) pool_give(&engine->windows, breaker->windows[at]);
    breaker->count = 0;
    breaker->tripped = 0;
    forget_prints(breaker);
}

/* The market reopens: every window starts from the auction's price or the last one. */
void restart_breaker(Engine *engine, Market *market) {
    for (u32 at = 0; at < market->breaker.count; at++)
        restart_window(window_of(engine, &market->breaker, at), market->last_price_ticks);
    forget_prints(&market->breaker);
}

/* Take in what was printed since the windows were last looked at. Doing it again changes nothing. */
void fold_prints(Engine *engine, Market *market) {
    Breaker *breaker = &market->breaker;
    if (!breaker->printed) return;
    if (breaker->taker) {
        breaker->filled_lots = filled_by(engine, breaker->taker);
        breaker->filled_units = breaker->taker->order->filled_quote_units;
    }
    const i128 value = (breaker->filled_units - breaker->from_units) / market->unit_factor;
    const i128 lots = breaker->filled_lots - breaker->from_lots;
    breaker->from_lots = breaker->filled_lots;
    breaker->from_units = breaker->filled_units;
    for (u32 at = 0; at < breaker->count; at++) {
        Window *window = window_of(engine, breaker, at);
        if (!is_vwap(window))
            take_price(engine, window, breaker->prints_ms, market->last_price_ticks);
        else if (lots)
            take_sums(engine, window, breaker->prints_ms, value, lots);
    }
}

/* What the taker has filled is final: it may be gone when the windows are looked at next. */
void sweep_ended(Engine *engine, Breaker *breaker, const Incoming *incoming) {
    if (breaker->taker != incoming) return;
    breaker->filled_lots = filled_by(engine, incoming);
    breaker->filled_units = incoming->order->filled_quote_units;
    breaker->taker = NULL;
}

static void advance_breaker(Engine *engine, Market *market) {
    fold_prints(engine, market);
    for (u32 at = 0; at < market->breaker.count; at++)
        advance_window(window_of(engine, &market->breaker, at), engine->now_ms);
}

/* Whether a print at this price changes no window, and the limits found last still stand. */
static bool is_quiet(const Engine *engine, const Market *market, i64 price_ticks) {
    const Breaker *breaker = &market->breaker;
    const i64 low = breaker->quiet_low, high = breaker->quiet_high, last = market->last_price_ticks;
    return engine->now_ms < breaker->quiet_until_ms && low <= price_ticks && price_ticks <= high && low <= last &&
           last <= high;
}

static i64 as_ticks(i128 ticks) { return ticks > INT64_MAX ? INT64_MAX : ticks < 0 ? 0 : (i64)ticks; }

/* How far prints may go from here, and where nothing can change: a print is in the current buckets now. */
static void find_limits(Engine *engine, Breaker *breaker, i64 price_ticks) {
    i128 high = NO_PRICE, low = 0;
    for (u32 at = 0; at < breaker->count; at++) {
        Window *window = window_of(engine, breaker, at);
        high = smaller(high, highest_ticks(window, price_ticks, price_ticks, window->value, window->lots));
        low = larger(low, lowest_ticks(window, price_ticks, price_ticks, window->value, window->lots));
    }
    breaker->high = as_ticks(high);
    breaker->low = as_ticks(low);
    if (breaker->has_vwap) return;
    breaker->quiet_low = breaker->low;
    breaker->quiet_high = breaker->high;
    breaker->quiet_until_ms = UINT64_MAX;
    for (u32 at = 0; at < breaker->count; at++) {
        Window *window = window_of(engine, breaker, at);
        const Bucket *newest = newest_bucket(window), *oldest = bucket_at(window, 0);
        const u64 ends_ms = (newest->k + 1) * window->len_ms;
        const u64 leaves_ms = (oldest->k + 1) * window->len_ms + window->rule.window_ms;
        if (newest->low > breaker->quiet_low) breaker->quiet_low = newest->low;
        if (newest->high < breaker->quiet_high) breaker->quiet_high = newest->high;
        if (ends_ms < breaker->quiet_until_ms) breaker->quiet_until_ms = ends_ms;
        if (leaves_ms < breaker->quiet_until_ms) breaker->quiet_until_ms = leaves_ms;
    }
}

/* Whether the taker may print at this price; then *limit_ticks is how far it may go without asking again. Where not,
   `tripped` says which rule forbids it, and nothing changed. */
bool admit_print(Engine *engine, const Incoming *incoming, i64 price_ticks, i64 *limit_ticks) {
    Market *market = incoming->seat->market;
    Breaker *breaker = &market->breaker;
    const bool buying = incoming->order->side == SIDE_BUY;
    if (!is_quiet(engine, market, price_ticks)) {
        advance_breaker(engine, market);
        for (u32 at = 0; at < breaker->count; at++) {
            Window *window = window_of(engine, breaker, at);
            if (!trips(window, price_ticks, price_ticks, window->value, window->lots)) continue;
            breaker->tripped = window->rule.rule_id;
            breaker->tripped_halt_s = window->rule.halt_s;
            return false;
        }
        for (u32 at = 0; at < breaker->count; at++)
            if (!is_vwap(window_of(engine, breaker, at)))
                take_price(engine, window_of(engine, breaker, at), engine->now_ms, price_ticks);
        breaker->printed = true;
        breaker->taker = incoming;
        breaker->prints_ms = engine->now_ms;
        breaker->from_lots = filled_by(engine, incoming);
        breaker->from_units = incoming->order->filled_quote_units;
        find_limits(engine, breaker, price_ticks);
    }
    *limit_ticks = buying ? breaker->high : breaker->low;
    return true;
}

/* The same in a read-only run, whose prints so far are told; `first_ticks` is 0 before its first one. */
bool try_print(Engine *engine, const Incoming *incoming, i64 *first_ticks, i64 price_ticks, i128 own_lots, i128 own_units,
               i64 *limit_ticks) {
    Market *market = incoming->seat->market;
    Breaker *breaker = &market->breaker;
    const bool buying = incoming->order->side == SIDE_BUY;
    if (!*first_ticks) {
        *first_ticks = price_ticks;
        if (is_quiet(engine, market, price_ticks)) {
            *limit_ticks = buying ? breaker->high : breaker->low;
            return true;
        }
    }
    advance_breaker(engine, market);
    const i64 first = *first_ticks;
    i128 high = NO_PRICE, low = 0;
    for (u32 at = 0; at < breaker->count; at++) {
        Window *window = window_of(engine, breaker, at);
        const i128 value = window->value + own_units / market->unit_factor, lots = window->lots + own_lots;
        if (trips(window, first, price_ticks, value, lots)) return false;
        high = smaller(high, highest_ticks(window, first, price_ticks, value, lots));
        low = larger(low, lowest_ticks(window, first, price_ticks, value, lots));
    }
    *limit_ticks = as_ticks(buying ? high : low);
    return true;
}

/* The lowest and the highest price that would not trip; false where there is nothing to measure. */
static bool window_limits(Window *window, i128 *lowest, i128 *highest) {
    const i128 up = BASIS_POINTS + window->rule.bp, down = BASIS_POINTS - (i128)window->rule.bp;
    if (is_vwap(window)) {
        if (!window->lots) return false;
        *lowest = rounded_up(window->value * down, BASIS_POINTS * window->lots);
        *highest = window->value * up / (BASIS_POINTS * window->lots);
        return true;
    }
    const i128 high = window_high(window);
    if (!high) return false;
    *lowest = rounded_up(high * down, BASIS_POINTS);
    *highest = window_low(window) * up / BASIS_POINTS;
    return true;
}

/* As of now; of two rules at the same price the one with the lower id. */
Distance distance_to_halt(Engine *engine, Market *market) {
    const Breaker *breaker = &market->breaker;
    Distance found = {0, 0, 0, 0};
    i128 lowest, highest;
    advance_breaker(engine, market);
    for (u32 at = 0; at < breaker->count; at++) {
        Window *window = window_of(engine, breaker, at);
        if (!window_limits(window, &lowest, &highest)) continue;
        if (highest < INT64_MAX && (!found.up_rule_id || highest + 1 < found.up_ticks)) {
            found.up_ticks = (i64)highest + 1;
            found.up_rule_id = window->rule.rule_id;
        }
        if (lowest - 1 > found.down_ticks) {
            found.down_ticks = (i64)lowest - 1;
            found.down_rule_id = window->rule.rule_id;
        }
    }
    return found;
}
