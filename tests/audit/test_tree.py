"""The tree of RFC 9162, beside its definition written down once more and the vectors of RFC 6962's first programs."""

from hashlib import sha256

import pytest

from apps.audit.tree import (
    EMPTY_ROOT,
    Peak,
    append,
    consistency_ranges,
    fold,
    inclusion_ranges,
    is_consistent,
    leaf_hash,
    nodes_of,
    root_by_inclusion,
)

LEAVES = [bytes([number]) * number for number in range(70)]
# Inputs and roots that the first implementations of certificate transparency were tested with.
KNOWN_INPUTS = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
KNOWN_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


class Tree:
    """Complete subtrees as the sequencer stores them."""

    def __init__(self) -> None:
        self.peaks: list[Peak] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.size = 0

    def add(self, leaf: bytes) -> None:
        for level, position, hashed in append(self.peaks, self.size, leaf_hash(leaf)):
            assert (level, position) not in self.nodes
            self.nodes[level, position] = hashed
        self.size += 1

    def hash(self, wanted: tuple[int, int]) -> bytes:
        return fold([self.nodes[node] for node in nodes_of(wanted)])


@pytest.fixture
def tree() -> Tree:
    made = Tree()
    for leaf in LEAVES:
        made.add(leaf)
    return made


def test_roots_are_those_of_the_definition_and_of_the_known_vectors(tree: Tree) -> None:
    assert mth([]) == EMPTY_ROOT
    for size in range(1, len(LEAVES) + 1):
        assert tree.hash((0, size)) == mth(LEAVES[:size])
    assert fold([peak.hash for peak in tree.peaks]) == mth(LEAVES)
    known = [bytes.fromhex(text) for text in KNOWN_INPUTS]
    for size, root in KNOWN_ROOTS.items():
        assert mth(known[:size]).hex() == root


def test_every_inclusion_proof_leads_to_the_root_and_no_changed_one_does(tree: Tree) -> None:
    for size in (1, 2, 3, 7, 8, 9, 33, 64, 70):
        root = mth(LEAVES[:size])
        for index in range(size):
            proof = [tree.hash(each) for each in inclusion_ranges(index, size)]
            leaf = leaf_hash(LEAVES[index])
            assert root_by_inclusion(index, size, leaf, proof) == root
            assert root_by_inclusion(index, size, leaf_hash(b"another"), proof) != root
            assert root_by_inclusion(index, size, leaf, [*proof, bytes(32)]) != root
            if proof:
                assert root_by_inclusion(index, size, leaf, proof[:-1]) != root
            for other in range(size):
                assert other == index or root_by_inclusion(other, size, leaf, proof) != root
    assert root_by_inclusion(3, 3, leaf_hash(b""), []) is None


def test_every_consistency_proof_holds_and_no_changed_one_does(tree: Tree) -> None:
    for size in range(1, len(LEAVES) + 1):
        root = mth(LEAVES[:size])
        for old in range(1, size + 1):
            old_root = mth(LEAVES[:old])
            proof = [tree.hash(each) for each in consistency_ranges(old, size)]
            assert is_consistent(old, size, old_root, root, proof), (old, size)
            assert not is_consistent(old, size, bytes(32), root, proof)
            assert not is_consistent(old, size, old_root, bytes(32), proof)
            assert not is_consistent(old, size, old_root, root, [*proof, bytes(32)])
            if proof:
                assert not is_consistent(old, size, old_root, root, proof[1:])
    assert not is_consistent(0, 3, EMPTY_ROOT, mth(LEAVES[:3]), [])
