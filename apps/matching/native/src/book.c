/* One side of a book: price levels in order, each with its orders, oldest first.

   Layout
       A tree over the bits of a level's index (its price; on the bid side with all bits turned over, so that the smallest
       index is the best on both sides). A leaf holds the levels of 16 prices in a row and a bit for each that is open; an
       inner node holds 64 children and a bit for each. The root covers `bits` bits and grows with the highest price. So
       near the touch it is a ladder of levels with bitmaps, and a price far away costs one path and no more.
       The lowest inner node that was used last is kept at hand (`finger`): it covers 1,024 prices in a row.
       A leaf where an iceberg rests, or rested since the leaf is there, also has a run of what its levels hide.

   Invariants
       No empty level, leaf or inner node stays, but for the root. `best` is the smallest open index. Level.lots is the sum
       of its orders' left_lots, hidden_lots() that of their reserves; priorities rise from head to tail.

   Costs
       A level near the last one used: one step. Any other, and the next worse level: one step for each 6 bits of the
       highest price (4 for prices up to 16 million ticks). No growth moves a level. */
#include "engine.h"

#define RUN_BITS 4
#define RUN (1u << RUN_BITS)
#define FAN_BITS 6
#define FAN (1u << FAN_BITS)
#define FINGER_BITS (RUN_BITS + FAN_BITS)
#define BITS_MAX 64
#define PATH_MAX 10

typedef struct InnerNode {
    u64 open; /* which children there are */
    u32 children[FAN];
} InnerNode;

typedef struct Leaf {
    u32 open; /* which levels there are */
    u32 hidden; /* slot of a HiddenRun, 0 for none */
    Level levels[RUN];
} Leaf;

/* Of each level of a leaf the sum of its icebergs' reserves. */
typedef struct HiddenRun {
    i64 lots[RUN];
} HiddenRun;

static inline InnerNode *node_at(const Engine *engine, u32 slot) { return pool_at(&engine->inner_nodes, slot); }
static inline Leaf *leaf_at(const Engine *engine, u32 slot) { return pool_at(&engine->leaves, slot); }
static inline HiddenRun *hidden_at(const Engine *engine, u32 slot) { return pool_at(&engine->hidden_runs, slot); }
static inline u32 fan_place(u64 index, u32 shift) { return (u32)(index >> shift) & (FAN - 1); }
static inline u32 first_bit(u64 bits) { return (u32)__builtin_ctzll(bits); }

void side_init(BookSide *side, u32 which) {
    *side = (BookSide){.side = which, .best = NO_INDEX, .finger_at = NO_INDEX};
}

i64 best_price(const BookSide *side) { return side->best == NO_INDEX ? 0 : price_at(side, side->best); }

/* The lowest inner node of an index; 0 where there is none and none is made. */
static u32 lowest_node(Engine *engine, BookSide *side, u64 index, bool make) {
    if (LIKELY(side->finger_at == index >> FINGER_BITS)) return side->finger;
    u32 slot = side->root;
    for (u32 shift = side->bits - FAN_BITS; shift >= FINGER_BITS; shift -= FAN_BITS) {
        u32 place = fan_place(index, shift);
        InnerNode *node = node_at(engine, slot);
        if (!(node->open >> place & 1)) {
            if (!make) return 0;
            u32 child = pool_take(engine, &engine->inner_nodes);
            node->children[place] = child;
            node->open |= 1ull << place;
        }
        slot = node->children[place];
    }
    side->finger = slot;
    side->finger_at = index >> FINGER_BITS;
    return slot;
}

/* Room for a higher price: the old root becomes a child of a new one. */
static void grow_side(Engine *engine, BookSide *side, i64 price_ticks) {
    i64 best_ticks = best_price(side);
    bool was_empty = side->best == NO_INDEX;
    if (!side->root) {
        side->root = pool_take(engine, &engine->inner_nodes);
        side->bits = FINGER_BITS;
    }
    while (side->bits < BITS_MAX && (u64)price_ticks >> side->bits) {
        InnerNode *old = node_at(engine, side->root);
        if (old->open) {
            u32 root = pool_take(engine, &engine->inner_nodes);
            u32 place = side->side == SIDE_BUY ? FAN - 1 : 0;
            InnerNode *node = node_at(engine, root);
            node->children[place] = side->root;
            node->open = 1ull << place;
            side->root = root;
        }
        side->bits += FAN_BITS;
    }
    side->flip = side->side == SIDE_BUY ? UINT64_MAX >> (64 - side->bits) : 0;
    side->best = was_empty ? NO_INDEX : index_of(side, best_ticks);
    side->finger_at = NO_INDEX;
}

Level *level_at(Engine *engine, BookSide *side, u64 index) {
    InnerNode *node = node_at(engine, lowest_node(engine, side, index, false));
    return &leaf_at(engine, node->children[fan_place(index, RUN_BITS)])->levels[index & (RUN - 1)];
}

Level *find_level(Engine *engine, BookSide *side, i64 price_ticks) {
    if (price_ticks <= 0 || !side->root || (side->bits < BITS_MAX && (u64)price_ticks >> side->bits)) return NULL;
    const u64 index = index_of(side, price_ticks);
    const u32 lowest = lowest_node(engine, side, index, false);
    if (!lowest) return NULL;
    const InnerNode *node = node_at(engine, lowest);
    const u32 place = fan_place(index, RUN_BITS);
    if (!(node->open >> place & 1)) return NULL;
    return &leaf_at(engine, node->children[place])->levels[index & (RUN - 1)];
}

static Level *open_level(Engine *engine, BookSide *side, i64 price_ticks) {
    if (UNLIKELY(!side->root || (side->bits < BITS_MAX && (u64)price_ticks >> side->bits)))
        grow_side(engine, side, price_ticks);
    u64 index = index_of(side, price_ticks);
    InnerNode *node = node_at(engine, lowest_node(engine, side, index, true));
    u32 place = fan_place(index, RUN_BITS);
    if (UNLIKELY(!(node->open >> place & 1))) {
        u32 leaf = pool_take(engine, &engine->leaves);
        node->children[place] = leaf;
        node->open |= 1ull << place;
    }
    Leaf *leaf = leaf_at(engine, node->children[place]);
    u32 bit = 1u << (index & (RUN - 1));
    if (!(leaf->open & bit)) {
        leaf->open |= bit;
        side->level_count++;
        if (index < side->best) side->best = index;
    }
    return &leaf->levels[index & (RUN - 1)];
}

/* The first open index of a subtree; `shift` is that of its children. */
static u64 first_index(Engine *engine, BookSide *side, u32 slot, u64 prefix, u32 shift) {
    for (; shift >= FINGER_BITS; shift -= FAN_BITS) {
        InnerNode *node = node_at(engine, slot);
        u32 place = first_bit(node->open);
        prefix |= (u64)place << shift;
        slot = node->children[place];
    }
    side->finger = slot;
    side->finger_at = prefix >> FINGER_BITS;
    InnerNode *node = node_at(engine, slot);
    u32 place = first_bit(node->open);
    return prefix | (u64)place << RUN_BITS | first_bit(leaf_at(engine, node->children[place])->open);
}

/* Within a lowest inner node: the first open index from `from` on; NO_INDEX where there is none. */
static u64 next_in_node(Engine *engine, const InnerNode *node, u64 from) {
    u32 place = fan_place(from, RUN_BITS);
    if (node->open >> place & 1) {
        u32 open = leaf_at(engine, node->children[place])->open >> (from & (RUN - 1));
        if (open) return from + first_bit(open);
    }
    u64 later = place == FAN - 1 ? 0 : node->open >> (place + 1) << (place + 1);
    if (!later) return NO_INDEX;
    place = first_bit(later);
    u64 prefix = from >> FINGER_BITS << FINGER_BITS | (u64)place << RUN_BITS;
    return prefix | first_bit(leaf_at(engine, node->children[place])->open);
}

static u64 next_index(Engine *engine, BookSide *side, u64 from) {
    if (LIKELY(side->finger_at == from >> FINGER_BITS)) {
        u64 index = next_in_node(engine, node_at(engine, side->finger), from);
        if (LIKELY(index != NO_INDEX)) return index;
    }
    if (!side->root || (side->bits < BITS_MAX && from >> side->bits)) return NO_INDEX;
    u32 path[PATH_MAX + 1], shifts[PATH_MAX + 1], depth = 0, slot = side->root;
    for (u32 shift = side->bits - FAN_BITS;; shift -= FAN_BITS) {
        InnerNode *node = node_at(engine, slot);
        if (shift < FINGER_BITS) {
            u64 index = next_in_node(engine, node, from);
            if (index != NO_INDEX) return index;
            break;
        }
        path[depth] = slot;
        shifts[depth++] = shift;
        u32 place = fan_place(from, shift);
        if (!(node->open >> place & 1)) break;
        slot = node->children[place];
    }
    while (depth--) {
        InnerNode *node = node_at(engine, path[depth]);
        u32 shift = shifts[depth], place = fan_place(from, shift);
        u64 later = place == FAN - 1 ? 0 : node->open >> (place + 1) << (place + 1);
        if (later) {
            place = first_bit(later);
            u64 above = shift + FAN_BITS >= 64 ? 0 : from >> (shift + FAN_BITS) << (shift + FAN_BITS);
            return first_index(engine, side, node->children[place], above | (u64)place << shift, shift - FAN_BITS);
        }
    }
    return NO_INDEX;
}

u64 index_after(Engine *engine, BookSide *side, u64 index) { return next_index(engine, side, index + 1); }

static Leaf *leaf_of(Engine *engine, BookSide *side, u64 index) {
    const InnerNode *node = node_at(engine, lowest_node(engine, side, index, false));
    return leaf_at(engine, node->children[fan_place(index, RUN_BITS)]);
}

i64 hidden_lots(Engine *engine, BookSide *side, u64 index) {
    const Leaf *leaf = leaf_of(engine, side, index);
    return leaf->hidden ? hidden_at(engine, leaf->hidden)->lots[index & (RUN - 1)] : 0;
}

/* The level, which must exist, hides so many lots more. */
void hide_lots(Engine *engine, BookSide *side, i64 price_ticks, i64 more) {
    const u64 index = index_of(side, price_ticks);
    Leaf *leaf = leaf_of(engine, side, index);
    if (!leaf->hidden) {
        const u32 slot = pool_take(engine, &engine->hidden_runs);
        leaf->hidden = slot;
    }
    hidden_at(engine, leaf->hidden)->lots[index & (RUN - 1)] += more;
}

static void give_leaf(Engine *engine, u32 slot) {
    const u32 hidden = leaf_at(engine, slot)->hidden;
    if (UNLIKELY(hidden)) pool_give(&engine->hidden_runs, hidden);
    pool_give(&engine->leaves, slot);
}

/* The leaf of an index is empty: it goes, and each inner node above it that has become empty too. */
static void drop_leaf(Engine *engine, BookSide *side, u64 index) {
    u32 path[PATH_MAX + 1], depth = 0, slot = side->root;
    u32 shift = side->bits - FAN_BITS;
    for (;; shift -= FAN_BITS) {
        path[depth++] = slot;
        if (shift < FINGER_BITS) break;
        slot = node_at(engine, slot)->children[fan_place(index, shift)];
    }
    give_leaf(engine, node_at(engine, slot)->children[fan_place(index, RUN_BITS)]);
    for (;;) {
        InnerNode *node = node_at(engine, path[--depth]);
        node->open &= ~(1ull << fan_place(index, shift));
        if (node->open || !depth) return;
        if (path[depth] == side->finger) side->finger_at = NO_INDEX;
        pool_give(&engine->inner_nodes, path[depth]);
        shift += FAN_BITS;
    }
}

void drop_level(Engine *engine, BookSide *side, u64 index) {
    u32 lowest = lowest_node(engine, side, index, false);
    Leaf *leaf = leaf_at(engine, node_at(engine, lowest)->children[fan_place(index, RUN_BITS)]);
    leaf->levels[index & (RUN - 1)] = (Level){0};
    leaf->open &= ~(1u << (index & (RUN - 1)));
    side->level_count--;
    if (!leaf->open) {
        InnerNode *node = node_at(engine, lowest);
        u64 bit = 1ull << fan_place(index, RUN_BITS);
        if (node->open != bit) {
            give_leaf(engine, node->children[fan_place(index, RUN_BITS)]);
            node->open &= ~bit;
        } else {
            drop_leaf(engine, side, index);
        }
    }
    if (index == side->best) side->best = side->level_count ? next_index(engine, side, index + 1) : NO_INDEX;
}

i64 book_add(Engine *engine, BookSide *side, u32 slot) {
    Order *order = order_at(engine, slot);
    Level *level = open_level(engine, side, order->price_ticks);
    order->prev = level->tail;
    order->next = 0;
    if (level->tail)
        order_at(engine, level->tail)->next = slot;
    else
        level->head = slot;
    level->tail = slot;
    level->lots += order->left_lots;
    const i64 reserve = reserve_of(engine, order);
    if (UNLIKELY(reserve)) hide_lots(engine, side, order->price_ticks, reserve);
    return level->lots;
}

i64 book_remove(Engine *engine, BookSide *side, u32 slot) {
    Order *order = order_at(engine, slot);
    u64 index = index_of(side, order->price_ticks);
    Level *level = level_at(engine, side, index);
    if (order->prev)
        order_at(engine, order->prev)->next = order->next;
    else
        level->head = order->next;
    if (order->next)
        order_at(engine, order->next)->prev = order->prev;
    else
        level->tail = order->prev;
    order->prev = order->next = 0;
    i64 lots = level->lots -= order->left_lots;
    const i64 reserve = reserve_of(engine, order);
    if (UNLIKELY(reserve)) hide_lots(engine, side, order->price_ticks, -reserve);
    if (!level->head) drop_level(engine, side, index);
    return lots;
}
