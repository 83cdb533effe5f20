"""The chain names one history: any change of bytes, numbers or order gives another value."""

from apps.common import hashchain


def test_any_change_changes_the_chain() -> None:
    base = hashchain.extend(hashchain.GENESIS, 1, 2, b"events")
    assert len(base) == 64
    others = [
        hashchain.extend(base, 1, 2, b"events"),
        hashchain.extend(hashchain.GENESIS, 1, 3, b"events"),
        hashchain.extend(hashchain.GENESIS, 2, 2, b"events"),
        hashchain.extend(hashchain.GENESIS, 1, 2, b"eventt"),
    ]
    assert len({base, *others}) == 5
    assert hashchain.extend(hashchain.GENESIS, 1, 2, b"events") == base
