"""Ways in which bytes on a disk go wrong, drawn by seed; each says what it did."""

from collections.abc import Callable
from random import Random

PAGE = 4096

Damage = tuple[str, bytes]


def truncated(content: bytes, random: Random) -> Damage:
    at = random.randrange(len(content))
    return f"cut at byte {at} of {len(content)}", content[:at]


def flipped(content: bytes, random: Random) -> Damage:
    """One to eight bits; often one, which is the hardest to notice."""
    damaged, where = bytearray(content), []
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        at, bit = random.randrange(len(content)), random.randrange(8)
        damaged[at] ^= 1 << bit
        where.append(f"{at}.{bit}")
    return f"bits {', '.join(where)} flipped", bytes(damaged)


def zeroed(content: bytes, random: Random) -> Damage:
    """One page, as a file system gives it back after a write that never reached the disk."""
    page = random.randrange(-(-len(content) // PAGE))
    start, end = page * PAGE, min((page + 1) * PAGE, len(content))
    return f"page {page} of zeros", content[:start] + bytes(end - start) + content[end:]


def tail_again(content: bytes, random: Random) -> Damage:
    length = random.randint(1, min(len(content), 3 * PAGE))
    return f"the last {length} bytes again", content + content[-length:]


def rubbish_after(content: bytes, random: Random) -> Damage:
    return "random bytes after the end", content + random.randbytes(random.randint(1, 200))


def emptied(content: bytes, random: Random) -> Damage:
    return "emptied", b""


KINDS: tuple[Callable[[bytes, Random], Damage], ...] = (
    truncated, flipped, flipped, flipped, zeroed, tail_again, rubbish_after, emptied,
)  # fmt: skip


def damaged(content: bytes, random: Random) -> Damage:
    """A copy that differs from `content`."""
    if not content:
        return "one byte in an empty file", b"\0"
    while True:
        what, copy = random.choice(KINDS)(content, random)
        if copy != content:
            return what, copy
