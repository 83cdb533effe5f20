/* Dividing lots and money among sub-accounts, exactly (T12, matching-rules 8), and the rules that say how.

   Products of two amounts below 2^62 appear here: they fit i128. At most MAX_ALLOCATION_ACCOUNTS parts, so that sorting is
   by insertion. */
#include "engine.h"

/* Positions by falling remainder, ties to the first. */
typedef struct Ranking {
    i128 remainders[MAX_ALLOCATION_ACCOUNTS];
    u32 positions[MAX_ALLOCATION_ACCOUNTS];
    u32 count;
} Ranking;

static void rank_remainder(Ranking *ranking, i128 remainder, u32 position) {
    u32 place = ranking->count++;
    for (; place && ranking->remainders[place - 1] < remainder; place--) {
        ranking->remainders[place] = ranking->remainders[place - 1];
        ranking->positions[place] = ranking->positions[place - 1];
    }
    ranking->remainders[place] = remainder;
    ranking->positions[place] = position;
}

/* `total` in whole parts by weight; what rounding down leaves goes to the largest remainders, ties to the first. */
void largest_remainder(i64 *parts, i64 total, const i64 *weights, u32 count) {
    i128 whole = 0;
    i64 left = total;
    Ranking ranking = {.count = 0};
    for (u32 at = 0; at < count; at++) whole += weights[at];
    for (u32 at = 0; at < count; at++) {
        const i128 share = (i128)total * weights[at];
        parts[at] = (i64)(share / whole);
        left -= parts[at];
        rank_remainder(&ranking, share % whole, at);
    }
    for (i64 at = 0; at < left; at++) parts[ranking.positions[at]]++;
}

/* How many of the next `lots` each share gets, by what it lacks: see next_lots in allocation.py, step by step. */
static void next_lots(i64 *parts, const BlockOrder *block, i64 lots) {
    i128 whole[MAX_ALLOCATION_ACCOUNTS], remainders[MAX_ALLOCATION_ACCOUNTS];
    i128 quantity = 0, so_far = lots, layer = 0, above = 0;
    Ranking ranking = {.count = 0};
    for (u32 at = 0; at < block->count; at++) {
        quantity += block->shares[at].final_lots;
        so_far += block->shares[at].allocated_lots;
    }
    for (u32 at = 0; at < block->count; at++) {
        const Share *share = &block->shares[at];
        const i128 deficit = share->final_lots * so_far - share->allocated_lots * quantity; /* in 1/quantity */
        whole[at] = deficit / quantity;
        remainders[at] = deficit % quantity;
        if (remainders[at] < 0) { /* rounded down, not towards 0 */
            whole[at]--;
            remainders[at] += quantity;
        }
        if (whole[at] > 0) above += whole[at];
    }
    while (above > lots) {
        layer++;
        above = 0;
        for (u32 at = 0; at < block->count; at++)
            if (whole[at] > layer) above += whole[at] - layer;
    }
    for (u32 at = 0; at < block->count; at++) {
        parts[at] = whole[at] > layer ? (i64)(whole[at] - layer) : 0;
        if (whole[at] >= layer && (layer || remainders[at])) rank_remainder(&ranking, remainders[at], at);
    }
    for (i128 at = 0; at < lots - above && at < ranking.count; at++) parts[ranking.positions[at]]++;
}

/* The next `lots` of a block order, which count as allocated from now on. In the order of the rule. */
void allocate(Engine *engine, u32 slot, i64 lots, Payments *portions) {
    BlockOrder *block = block_at(engine, slot);
    i64 parts[MAX_ALLOCATION_ACCOUNTS];
    next_lots(parts, block, lots);
    portions->count = 0;
    for (u32 at = 0; at < block->count; at++) {
        Share *share = &block->shares[at];
        if (!parts[at]) continue;
        portions->each[portions->count++] = (Payment){share, seat_at(engine, share->seat), parts[at], 0, 0};
        share->allocated_lots += parts[at];
    }
}

u32 find_rule(const Engine *engine, const Account *account, u32 rule_id) {
    u32 slot = account->first_rule;
    while (slot && rule_at(engine, slot)->rule_id != rule_id) slot = rule_at(engine, slot)->next;
    return slot;
}

/* A new rule, or another content for a known one. */
void put_rule(Engine *engine, Account *account, const AllocationRule *rule) {
    u32 slot = find_rule(engine, account, rule->rule_id), next;
    if (slot) {
        next = rule_at(engine, slot)->next;
    } else {
        slot = pool_take(engine, &engine->rules);
        next = account->first_rule;
        account->first_rule = slot;
    }
    *rule_at(engine, slot) = *rule;
    rule_at(engine, slot)->next = next;
}

void drop_rule(Engine *engine, Account *account, u32 rule_id) {
    u32 *link = &account->first_rule;
    while (*link && rule_at(engine, *link)->rule_id != rule_id) link = &rule_at(engine, *link)->next;
    const u32 slot = *link;
    if (!slot) return;
    *link = rule_at(engine, slot)->next;
    pool_give(&engine->rules, slot);
}

/* Every account exists and is of the owner's family, which may be the owner itself. */
bool is_of_family(Engine *engine, const AllocationRule *rule, const Account *owner) {
    for (u32 at = 0; at < rule->count; at++) {
        const Account *account = find_account(engine, rule->accounts[at]);
        if (!account || account->family_id != owner->family_id) return false;
    }
    return true;
}
