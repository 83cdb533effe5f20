"""Limits of the platform API, each with its source."""

from typing import Final, NamedTuple

PREFIX: Final = "/api/platform/"

# reliability.md section 3, the control of the number list.
BODY_BYTES_MAX: Final = 16 * 1024
BODY_DEPTH_MAX: Final = 8
NUMBER_DIGITS_MAX: Final = 18

PAGE_ROWS: Final = 25
PAGE_ROWS_MAX: Final = 100

# threat-T7. A signed request counts once; the memory is longer than the time in which its timestamp is taken, since
# that is looked at first, and clocks of several machines take part.
CLOCK_OFF_MAX_MS: Final = 5_000
SIGNATURES_KEPT_MS: Final = 4 * CLOCK_OFF_MAX_MS

# redis-edge is asked before anything else is done: who waits longer than this is not helped by a count.
EDGE_TIMEOUT_S: Final = 0.25
# After a failure this process counts by itself for so long before it asks again.
EDGE_PAUSE_S: Final = 1.0
# Names that one process remembers while redis-edge is away; the oldest goes for one too many.
BUCKETS_KEPT: Final = 50_000


class Limit(NamedTuple):
    """A bucket of `burst` requests that fills by `per_minute` (threat-T20). RATE_LIMIT_FACTOR multiplies both."""

    burst: int
    per_minute: int

    def times(self, factor: int) -> "Limit":
        return Limit(self.burst * factor, self.per_minute * factor)


# An office shares an address.
PER_ADDRESS: Final = Limit(burst=240, per_minute=1_200)
# A person and what programs do for them: all sessions and keys of a user together.
PER_USER: Final = Limit(burst=120, per_minute=600)
