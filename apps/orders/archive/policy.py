"""Figures of the archive, each with its reason (architecture.md section 3, Archive)."""

from typing import Final

# -- Writing ----------------------------------------------------------------------------------------------------------
# At most this long does an entry stand in the log alone; nothing is trimmed before it is archived, so it is no risk.
FLUSH_EVERY_S: Final = 1.0
# Entries of one round, before compression. A round is one write and one fsync for both streams.
ROUND_BYTES_MAX: Final = 8 * 2**20
BLOCK_BYTES_MAX: Final = 2 * 2**20
# More than one round of both streams can be in the file: what a start writes once more (writer.py).
UNSURE_BYTES_MAX: Final = 32 * 2**20
# A closed segment is what retention deletes and what a backup need not copy again.
SEGMENT_BYTES_MAX: Final = 64 * 2**20
COMMAND_ENTRIES_PER_READ: Final = 500
# An event entry may have most of a megabyte, so that one read stays below about 50 MB on both sides.
EVENT_ENTRIES_PER_READ: Final = 64
# Level 3 is within a few percent of what higher levels give on these records, at a fraction of their time (measured).
ZSTD_LEVEL: Final = 3
# No block of ours comes near it; a length beyond it is damage, not a reason to allocate memory.
RAW_BYTES_MAX: Final = 256 * 2**20

# -- Positions in the log ---------------------------------------------------------------------------------------------
# While nothing but ticks happens the head stands still; this often the oldest kept snapshot is looked at instead.
IDLE_LOOK_S: Final = 10.0
SNAPSHOT_LOOK_S: Final = 1.0

# -- Health -----------------------------------------------------------------------------------------------------------
LAG_LIMIT_EVENTS: Final = 500_000
LAG_LIMIT_S: Final = 60.0
BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_LAST_S: Final = 5.0

# -- Retention --------------------------------------------------------------------------------------------------------
RETENTION_LOOK_S: Final = 600.0
# With a retention a base is taken this often, so that whole days can go and the rest can still be replayed.
BASE_EVERY_MS: Final = 86_400_000

# -- Settling from the archive ----------------------------------------------------------------------------------------
# How long `manage.py settle` waits for a running archiver to reach where the log ended when the command began.
CATCH_UP_WAIT_S: Final = 30.0
