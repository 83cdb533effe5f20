"""The hash chain over event entries: h = blake2b-256(h_prev || first_seq || last_seq || event bytes).

It belongs to the worker, not to the engine (architecture.md section 3). Two histories with the same numbers differ
in their chain, which is how a promoted replica that lost writes is recognised.
"""

from hashlib import blake2b
from typing import Final

GENESIS: Final = ""


def extend(prev: str, first_seq: int, last_seq: int, body: bytes) -> str:
    """Lower-case hex chain value of one event entry; `prev` is GENESIS for the first entry."""
    digest = blake2b(prev.encode("ascii"), digest_size=32)
    digest.update(first_seq.to_bytes(8, "little"))
    digest.update(last_seq.to_bytes(8, "little"))
    digest.update(body)
    return digest.hexdigest()
