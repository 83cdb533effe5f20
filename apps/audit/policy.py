"""Limits of the audit log (requirement E7, docs/audit.md)."""

from typing import Final

# Each of before and after, in UTF-8 bytes of their canonical JSON.
STATE_BYTES_MAX: Final = 65_536
REASON_LENGTH_MAX: Final = 500
OBJECT_LENGTH_MAX: Final = 120
ACTOR_ID_LENGTH_MAX: Final = 254
REQUEST_ID_LENGTH_MAX: Final = 36
# Whole numbers beyond these are no numbers any more where JSON is read into doubles: they are written as strings.
INTEGER_MAX: Final = 2**53 - 1
# Lists and dicts within one another. Part of the format: a stored text that is deeper is malformed.
DEPTH_MAX: Final = 32

# Key of the advisory lock that makes the sequencer single in one database, over all shards.
SEQUENCER_LOCK: Final = 0x6E65_6175
# A pending row is to be in the tree within a second.
POLL_S: Final = 0.25
LOCK_RETRY_S: Final = 1.0
REPORT_S: Final = 5.0
BACK_OFF_FIRST_S: Final = 0.05
BACK_OFF_LAST_S: Final = 2.0
# Records of one writer in one transaction of the sequencer; the rest follow in the next.
RECORDS_PER_STEP: Final = 1_000
