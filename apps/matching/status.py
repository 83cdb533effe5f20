"""What a worker is doing, for health checks and `engine_status`: written by the worker, read by any thread."""

from enum import StrEnum

from apps.matching.core import Position


class Phase(StrEnum):
    STARTING = "starting"
    WAITING_FOR_REDIS = "waiting for redis-core"
    WAITING_FOR_POSTGRES = "waiting for PostgreSQL"
    WAITING_FOR_LEASE = "waiting for the lease"
    FOLLOWING = "following"
    RECOVERING = "recovering"
    ACTIVE = "active"
    HALTED = "halted"
    STOPPED = "stopped"


class WorkerStatus:
    """Single attributes are replaced whole, so a reader needs no lock."""

    def __init__(self, shard: str, holder: str) -> None:
        self.shard = shard
        self.holder = holder
        self.phase = Phase.STARTING
        self.explanation = ""
        self.halt_reason = ""
        self.epoch = 0
        self.position = Position()
        self.lag_ms = 0
        self.snapshot_seq = 0
        self.trimming_waits_for: tuple[str, ...] = ()

    def enter(self, phase: Phase, explanation: str = "", *, epoch: int = 0, reason: str = "") -> None:
        self.explanation = explanation
        self.halt_reason = reason
        self.epoch = epoch
        self.phase = phase

    def moved(self, position: Position, lag_ms: int) -> None:
        self.position = position
        self.lag_ms = lag_ms

    def details(self) -> dict[str, object]:
        return {
            "shard": self.shard,
            "holder": self.holder,
            "phase": str(self.phase),
            "explanation": self.explanation,
            "halt_reason": self.halt_reason,
            "epoch": self.epoch,
            "seq": self.position.seq,
            "last_command": str(self.position.last_cmd),
            "lag_ms": self.lag_ms,
            "snapshot_seq": self.snapshot_seq,
            "trimming_waits_for": list(self.trimming_waits_for),
        }
