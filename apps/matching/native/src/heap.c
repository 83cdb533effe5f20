/* Heaps that can be joined: what triggers first stands at the root (leftist heaps).

   Layout
       A member has a HeapLink where it stands: an order in its terms, a segment of trailing stops in itself, once for each of
       the two heaps it is in. What has the greater key comes first, of equal keys the smaller tie. `rank` is the length of
       the path of right children down to a missing one; a left child has at least the rank of the right one.

   Costs: join, add and remove any member O(log n) in the worst case. */
#include "engine.h"

static HeapLink *link_at(Engine *engine, HeapKind kind, u32 slot) {
    switch (kind) {
        case HEAP_OF_ORDERS: return &terms_at(engine, order_at(engine, slot)->terms)->link;
        case HEAP_OF_BESTS: return &segment_at(engine, slot)->by_best;
        default: return &segment_at(engine, slot)->by_front;
    }
}

static u32 rank_of(Engine *engine, HeapKind kind, u32 slot) { return slot ? link_at(engine, kind, slot)->rank : 0; }

static bool comes_first(const HeapLink *one, const HeapLink *other) {
    return one->key != other->key ? one->key > other->key : one->tie < other->tie;
}

/* The left child has the greater rank from now on; whether the rank has changed. */
static bool settle(Engine *engine, HeapKind kind, HeapLink *link) {
    u32 left = rank_of(engine, kind, link->left), right = rank_of(engine, kind, link->right);
    if (left < right) {
        const u32 child = link->left;
        link->left = link->right;
        link->right = child;
        right = left;
    }
    const bool changed = link->rank != right + 1;
    link->rank = right + 1;
    return changed;
}

/* The root of both; each recursion goes down one right child. */
u32 heap_join(Engine *engine, HeapKind kind, u32 one, u32 other) {
    if (!one || !other) return one ? one : other;
    if (comes_first(link_at(engine, kind, other), link_at(engine, kind, one))) {
        const u32 first = other;
        other = one;
        one = first;
    }
    HeapLink *link = link_at(engine, kind, one);
    link->right = heap_join(engine, kind, link->right, other);
    link_at(engine, kind, link->right)->up = one;
    settle(engine, kind, link);
    return one;
}

void heap_add(Engine *engine, HeapKind kind, u32 *root, u32 slot, i64 key, u64 tie) {
    *link_at(engine, kind, slot) = (HeapLink){.key = key, .tie = tie, .rank = 1};
    *root = heap_join(engine, kind, *root, slot);
    link_at(engine, kind, *root)->up = 0;
}

void heap_remove(Engine *engine, HeapKind kind, u32 *root, u32 slot) {
    const HeapLink gone = *link_at(engine, kind, slot);
    const u32 below = heap_join(engine, kind, gone.left, gone.right);
    if (below) link_at(engine, kind, below)->up = gone.up;
    *link_at(engine, kind, slot) = (HeapLink){0};
    if (!gone.up) {
        *root = below;
        return;
    }
    HeapLink *above = link_at(engine, kind, gone.up);
    if (above->left == slot)
        above->left = below;
    else
        above->right = below;
    while (settle(engine, kind, above) && above->up) above = link_at(engine, kind, above->up);
}
