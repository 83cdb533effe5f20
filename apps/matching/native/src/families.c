/* Which accounts are in another account's family, by the family's id. Who is in his own family only stands nowhere. */
#include "engine.h"

static u64 hash_of_family(const Engine *engine, u64 family_id) { return mixed(family_id + engine->hash_seed); }

/* The family's first member but for the account whose id it has; 0 where there is none. */
u32 first_member(const Engine *engine, u64 family_id) {
    Probe probe = table_probe(&engine->family_ids, hash_of_family(engine, family_id));
    for (u32 slot; (slot = probe_next(&probe));)
        if (account_at(engine, member_at(engine, slot)->account)->family_id == family_id) return slot;
    return 0;
}

static void leave_family(Engine *engine, const Account *account) {
    const u64 hash = hash_of_family(engine, account->family_id);
    const u32 first = first_member(engine, account->family_id);
    u32 slot = first, before = 0;
    while (slot && member_at(engine, slot)->account != account->slot) {
        before = slot;
        slot = member_at(engine, slot)->next;
    }
    if (!slot) fail(engine, NBP_INVARIANT_BROKEN, "an account is not in its family");
    const u32 next = member_at(engine, slot)->next;
    if (before)
        member_at(engine, before)->next = next;
    else if (next)
        table_replace(engine, &engine->family_ids, hash, slot, next);
    else
        table_remove(engine, &engine->family_ids, hash, slot);
    pool_give(&engine->members, slot);
}

/* From now on the account belongs to this family. A change costs a look at each member of the one it leaves. */
void join_family(Engine *engine, Account *account, u64 family_id) {
    if (account->family_id == family_id) return;
    if (account->family_id && account->family_id != account->account_id) leave_family(engine, account);
    if (family_id != account->account_id) {
        const u32 slot = pool_take(engine, &engine->members), first = first_member(engine, family_id);
        const u64 hash = hash_of_family(engine, family_id);
        *member_at(engine, slot) = (Member){account->slot, first};
        if (first)
            table_replace(engine, &engine->family_ids, hash, first, slot);
        else
            table_insert(engine, &engine->family_ids, hash, slot);
    }
    account->family_id = family_id;
}
