/* What is due at a time, run before every command in (due_ms, creation seq) order.

   Layout
       A heap, its first entry at slot 1. Each subject knows its place in it, so an entry is taken out when its subject
       has no use for it any more, in O(log n); there are no stale entries. A subject has at most one timer.

   Invariants
       `due_ms` is that of the first entry, at most NEVER. */
#include "engine.h"

static inline Timer *timer_at(const Engine *engine, u32 place) { return pool_at(&engine->timers, place); }

/* Where the subject keeps its place. */
static u32 *timer_place_of(Engine *engine, u32 subject, u32 slot) {
    if (subject == TIMER_ORDER) return &terms_at(engine, order_at(engine, slot)->terms)->timer_place;
    if (subject == TIMER_MARKET) return &((Market *)pool_at(&engine->markets_pool, slot))->timer_place;
    return &account_at(engine, slot)->timer_place;
}

static inline bool is_earlier(const Timer *one, const Timer *other) {
    return one->due_ms != other->due_ms ? one->due_ms < other->due_ms : one->seq < other->seq;
}

static void put_timer(Engine *engine, u32 place, Timer timer) {
    *timer_at(engine, place) = timer;
    *timer_place_of(engine, timer.subject, timer.slot) = place;
}

static void sift_up(Engine *engine, u32 place, Timer timer) {
    for (; place > 1 && is_earlier(&timer, timer_at(engine, place / 2)); place /= 2)
        put_timer(engine, place, *timer_at(engine, place / 2));
    put_timer(engine, place, timer);
}

static void sift_down(Engine *engine, u32 place, Timer timer) {
    u32 count = engine->timer_count;
    for (u32 child; (child = 2 * place) <= count; place = child) {
        if (child < count && is_earlier(timer_at(engine, child + 1), timer_at(engine, child))) child++;
        if (!is_earlier(timer_at(engine, child), &timer)) break;
        put_timer(engine, place, *timer_at(engine, child));
    }
    put_timer(engine, place, timer);
}

/* When something is due next, NEVER for nothing. */
i64 first_due(const Engine *engine) {
    const i64 due_ms = engine->timer_count ? timer_at(engine, 1)->due_ms : NEVER;
    return due_ms < NEVER ? due_ms : NEVER;
}

static void note_first(Engine *engine) { engine->due_ms = first_due(engine); }

void add_timer(Engine *engine, i64 due_ms, u64 seq, u32 subject, u32 slot) {
    u32 place = ++engine->timer_count;
    while (place >= engine->timers.used) pool_take_raw(engine, &engine->timers);
    sift_up(engine, place, (Timer){due_ms, seq, slot, subject});
    note_first(engine);
}

void stop_timer(Engine *engine, u32 subject, u32 slot) {
    u32 place = *timer_place_of(engine, subject, slot);
    Timer last = *timer_at(engine, engine->timer_count--);
    *timer_place_of(engine, subject, slot) = 0;
    if (place <= engine->timer_count) {
        if (place > 1 && is_earlier(&last, timer_at(engine, place / 2)))
            sift_up(engine, place, last);
        else
            sift_down(engine, place, last);
    }
    note_first(engine);
}

/* The timer of an open order: its own end, or that of the wait for a review. */
static void end_in_time(Engine *engine, u32 slot) {
    if (terms_at(engine, order_at(engine, slot)->terms)->parked_seq)
        end_review(engine, slot);
    else
        expire_order(engine, slot);
}

/* Time passes: at most TIMERS_RUN_MAX before each command that is applied, the rest before the next one. */
void run_due(Engine *engine) {
    for (u32 turn = 0; turn < TIMERS_RUN_MAX && is_overdue(engine) && engine->timer_count; turn++) {
        Timer first = *timer_at(engine, 1);
        if (first.subject == TIMER_ORDER)
            end_in_time(engine, first.slot);
        else if (first.subject == TIMER_MARKET)
            end_phase(engine, pool_at(&engine->markets_pool, first.slot));
        else
            fire_cancel_timer(engine, account_at(engine, first.slot));
    }
}
