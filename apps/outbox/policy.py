"""Limits of the relay and of the processes' own database connections (architecture.md 6, reliability.md 2.7)."""

from typing import Final

# PostgreSQL session settings. A commit must be on disk before anything else happens; no wait is endless.
LOCK_TIMEOUT: Final = "2s"
STATEMENT_TIMEOUT: Final = "30s"
IDLE_IN_TRANSACTION_TIMEOUT: Final = "5s"

# Rows in one append; one row has at most MAX_PARTS frames, so an entry stays far below a megabyte.
ROWS_PER_APPEND: Final = 200
# NOTIFY wakes the relay at once; the poll is for rows whose notification was missed.
POLL_S: Final = 0.5
BACK_OFF_FIRST_S: Final = 0.05
BACK_OFF_LAST_S: Final = 2.0

# Key of the advisory lock that makes the relay single (the second number is the shard's position in the log's shards).
RELAY_LOCK: Final = 0x6E65_6F62
LOCK_RETRY_S: Final = 1.0
# How often a starting relay asks whether settlement has reached the end of the log.
SETTLED_POLL_S: Final = 0.05
REPORT_S: Final = 5.0

# Why staff asked for something, and how long its page waits for the engine's answer before it says 'on its way'.
REASON_LENGTH_MAX: Final = 200
ANSWER_WAIT_S: Final = 2.0
