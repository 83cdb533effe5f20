"""Figures of the matching process for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)

BATCH_FRAMES: Final = Histogram(
    "matching_batch_frames", "Command frames in one batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
)
PROCESS_SECONDS: Final = Histogram(
    "matching_process_seconds", "Time the engine took for one batch, stamping included", buckets=_SECONDS
)
APPEND_SECONDS: Final = Histogram(
    "matching_append_seconds", "Time until a batch's events were durable", buckets=_SECONDS
)
EVENTS: Final = Counter("matching_events_total", "Events published")
FRAMES: Final = Counter("matching_frames_total", "Command frames processed")
LAG_SECONDS: Final = Gauge("matching_lag_seconds", "Age of the newest processed command when its batch was durable")
SEQ: Final = Gauge("matching_seq", "seq of the newest event")
EPOCH: Final = Gauge("matching_epoch", "Epoch of this worker, 0 while it is not active")
SNAPSHOT_SEQ: Final = Gauge("matching_snapshot_seq", "seq of the newest snapshot this worker wrote")
SNAPSHOT_FAILURES: Final = Counter("matching_snapshot_failures_total", "Snapshots that could not be written or proven")
RECOVERY_SECONDS: Final = Gauge("matching_recovery_seconds", "Time the last recovery took")
POISON: Final = Counter("matching_poison_commands_total", "Commands skipped because the engine failed at them")
