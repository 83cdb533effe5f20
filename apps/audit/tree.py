"""The Merkle tree of RFC 9162 section 2.1: pure, over SHA-256.

A complete subtree is the node (level, position): 2^level leaves from position << level on; level 0 is a leaf. Only
complete subtrees are stored: they never change when leaves are added. A *range* (start, end) is one of the subtrees
that RFC 9162 cuts a tree into: it starts at a multiple of the smallest power of two that is not below its length, so
it is the fold of the complete subtrees that `nodes_of` names. Every proof is a list of ranges.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

Range = tuple[int, int]
# level, position
Node = tuple[int, int]


class Peak(NamedTuple):
    """A complete subtree that is not yet half of a bigger one."""

    level: int
    hash: bytes


EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def chain_hash(before: bytes, leaf: bytes) -> bytes:
    """The chain beside the tree: each entry's value covers all entries before it. 32 zero bytes stand before the
    first."""
    return sha256(b"\x02" + before + leaf).digest()


CHAIN_START = bytes(32)


def append(peaks: list[Peak], index: int, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """Add leaf number `index` to `peaks` (highest level first, changed in place); the new nodes as (level, position,
    hash), the leaf first."""
    level, hashed = 0, leaf
    made = [(0, index, leaf)]
    while peaks and peaks[-1].level == level:
        hashed = node_hash(peaks.pop().hash, hashed)
        level += 1
        made.append((level, index >> level, hashed))
    peaks.append(Peak(level, hashed))
    return made


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, from left to right."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for each in reversed(hashes[:-1]):
        root = node_hash(each, root)
    return root


def nodes_of(wanted: Range) -> list[Node]:
    """The complete subtrees of a range, from left to right."""
    start, end = wanted
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """PATH(index, D_size): the subtrees beside the way from the leaf to the root, the lowest first."""
    assert 0 <= index < size
    found: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """PROOF(old, D_size): what shows that the tree of `old` leaves is the beginning of that of `size` leaves."""
    assert 0 < old <= size
    found: list[Range] = []
    start, end, whole = 0, size, True
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, end))
    return found[::-1]


def _split(length: int) -> int:
    """The largest power of two below `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to (RFC 9162 section 2.1.3.2), None for a proof of the wrong length."""
    if not 0 <= index < size:
        return None
    fn, sn, root = index, size - 1, leaf
    for beside in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            root = node_hash(beside, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, beside)
        fn, sn = fn >> 1, sn >> 1
    return root if sn == 0 else None


def is_consistent(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the older tree is the beginning of the newer one (RFC 9162 section 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if not 0 < old < size or not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for beside in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(beside, fr), node_hash(beside, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, beside)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root
