"""Limits of settlement and reconciliation (T13, reliability.md 2.7)."""

from datetime import time
from typing import Final

# One transaction: about as much as settles in a second, so that a batch never holds locks for long.
EVENTS_PER_BATCH: Final = 16_000
# An entry may have some hundred kilobytes, so that one read stays below about 100 MB.
ENTRIES_PER_READ: Final = 128
READ_BLOCK_MS: Final = 500

# While events keep coming settlement begins so often, and at once when somebody waits for what it has not settled: an
# order costs more than twice as much in a transaction of ten as in one of forty, on processors and a disk orders need.
BATCH_EVERY_S: Final = 0.05

BACK_OFF_FIRST_S: Final = 0.05
BACK_OFF_LAST_S: Final = 2.0

# Above this lag the process counts as failing (architecture.md section 3, back-pressure).
LAG_LIMIT_S: Final = 60
LAG_LIMIT_EVENTS: Final = 500_000

# How often the cursor that holds back trimming is moved, also without news.
CURSOR_EVERY_S: Final = 1.0

# Reconciliation: how long to wait for a snapshot of the live engine and for settlement to pass it.
SNAPSHOT_WAIT_S: Final = 30.0
SETTLEMENT_WAIT_S: Final = 30.0
POLL_S: Final = 0.05
DIFFERENCES_STORED: Final = 200
# The schedule: every five minutes, and never more than one twentieth of the time.
RECONCILE_EVERY_S: Final = 300.0
RECONCILE_REST_FACTOR: Final = 20
# Once a day the whole history is added up; in between what came since, so that a run costs the same in every year.
RECONCILE_FULL_EVERY_S: Final = 86_400.0

# Fee tiers (T11): from which volume over VOLUME_DAYS, in whole VOLUME_ASSET, an account has which tier. Tier 0 is
# everybody's; a market without a rate for a tier uses its last one.
VOLUME_ASSET: Final = "USDT"
VOLUME_DAYS: Final = 30
VOLUME_TIERS: Final = (0, 1_000_000, 5_000_000, 20_000_000, 100_000_000)

# Work of once a day: from this time on, UTC, when the trades of the day before have long been settled.
DAILY_AT: Final = time(0, 10)
DAILY_POLL_S: Final = 60.0

# Pages and files of a user's orders and trades. A file is made in parts, each a query of some milliseconds; more rows
# are had day by day, so that one reader does not keep the site busy for minutes.
ROWS_ON_A_PAGE: Final = 50
ROWS_IN_A_PART: Final = 500
ROWS_IN_A_FILE_MAX: Final = 100_000
