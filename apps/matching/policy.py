"""Figures of the matching process, each with its reason (architecture.md section 3, reliability.md 2.5, 2.6, 2.9)."""

from typing import Final

# -- Reading ----------------------------------------------------------------------------------------------------------
# Entries of one read, and frames of one batch: 2,000 commands are about 15 ms of the plain engine, the longest time
# that a command which arrives during a batch waits for it. An entry is never cut, so a batch may be larger by one.
ENTRIES_PER_READ: Final = 256
FRAMES_PER_BATCH: Final = 2_000
# Without work the loop comes round this often to look for SIGTERM, a finished snapshot or a lost lease.
READ_BLOCK_MS: Final = 250

# -- Lease and ticks --------------------------------------------------------------------------------------------------
LEASE_TTL_MS: Final = 1_500
LEASE_RENEWAL_S: Final = 0.3
# By its own clock the worker stops before anybody else may hold the lease.
LEASE_STOP_S: Final = 1.2
LEASE_RETRY_S: Final = 0.1
TICK_S: Final = 0.1
# How long the last report of free disk space counts: some missed renewals.
DISK_REPORT_TTL_MS: Final = 10_000

# -- Takeover ---------------------------------------------------------------------------------------------------------
# Orders that waited longer than this without a sign of a living worker are rejected instead of executed: their owners
# have got a time-out and the price has moved. As long as the gateway waits for an answer (REPLY_TIMEOUT_S).
QUEUE_MAX_MS: Final = 5_000
# Abnormal exits while one command was applied: from the second on it is skipped (it would crash every worker), or, if
# its events are published already and it cannot be skipped, from the third on the shard halts.
CRASHES_SKIP: Final = 2
CRASHES_HALT: Final = 3
UNPROCESSED_PER_READ: Final = 1_000

# -- Standby ----------------------------------------------------------------------------------------------------------
# A standby is asked for the lease this often, and sees new events at once.
FOLLOW_BLOCK_MS: Final = 100
# A server that refuses writes (a replica) is asked again after this.
REFUSED_RETRY_S: Final = 1.0
# After a failure to follow (another rules version, events trimmed meanwhile) it starts over from a snapshot.
FOLLOW_RETRY_S: Final = 5.0
HEARTBEAT_EVERY_S: Final = 1.0
# Younger than this and not further behind than that: the standby takes over within a moment, so the active worker
# gives the lease up before it writes its last snapshot, and one that does not follow yet leaves a free lease to it.
STANDBY_SEEN_MAX_MS: Final = 3_000
STANDBY_BEHIND_MAX: Final = 20_000
# The standby writes the snapshots; the active worker only where none has come for this much longer than usual.
PATIENCE_WITH_STANDBY: Final = 1.5
# After it has handed over because of a poison command, a worker lets the standby be first.
YIELD_S: Final = 1.0

# -- Snapshots --------------------------------------------------------------------------------------------------------
SNAPSHOT_EVERY_S: Final = 60.0
SNAPSHOT_EVERY_EVENTS: Final = 200_000
SNAPSHOTS_KEPT: Final = 3
# How often the directory is looked at, and the pause after a snapshot that could not be written.
SNAPSHOT_LOOK_S: Final = 0.25
SNAPSHOT_RETRY_S: Final = 10.0

# -- Trimming ---------------------------------------------------------------------------------------------------------
# Events kept behind the slowest reader, so that a client that comes back can resume from the stream (20 MB).
EVENTS_KEPT: Final = 100_000
# These readers are the record: without their cursors a stream is not trimmed, and they are never dropped.
READERS_REQUIRED: Final = {
    "commands": frozenset({"archive-commands"}),
    "events": frozenset({"settlement", "archive-events"}),
}
READERS_NEVER_DROPPED: Final = frozenset().union(*READERS_REQUIRED.values())
READER_SILENT_MAX_MS: Final = 600_000

# -- Waiting for servers ----------------------------------------------------------------------------------------------
BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_LAST_S: Final = 2.0
BACK_OFF_LASTED_S: Final = 10.0
POSTGRES_CONNECT_TIMEOUT_S: Final = 5

# -- Garbage collection -----------------------------------------------------------------------------------------------
# The engine leaves no reference cycles (book.py), so a full collection finds nothing and costs a second with a million
# orders. What recovery built is frozen; young objects are still looked at, in portions of a few milliseconds, for the
# sake of the libraries around the engine; the last figure puts full collections off for ever.
GC_THRESHOLDS: Final = (20_000, 10, 1_000_000)
