"""Old segments go when the operator has set a number of days (ARCHIVE_KEEP_DAYS); by default nothing ever goes.

Only whole closed segments go, the oldest first, and only those that lie before a base snapshot, so that what is left
can be replayed. With a retention a further base is therefore taken once a day. What PostgreSQL or a backup may still
need is the operator's choice of days: settling into a backup older than that is impossible, and `settle` says so.
"""

import time
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.orders.archive import policy
from apps.orders.archive.bases import BaseWatch
from apps.orders.archive.packing import Base
from apps.orders.archive.reader import Archive, Contents, Segment
from apps.orders.archive.segments import SUFFIX, bases_dir, segment_path, sync_directory, write_first_number

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000


class Retention:
    def __init__(self, directory: Path, keep_days: int) -> None:
        self._directory = directory
        self._keep_ms = keep_days * DAY_MS
        self._look_s = 0.0

    def delete_old(self) -> bool:
        """Whether something was deleted."""
        if not self._keep_ms or time.monotonic() < self._look_s:
            return False
        self._look_s = time.monotonic() + policy.RETENTION_LOOK_S
        return bool(delete_before(self._directory, now_ms() - self._keep_ms))

    def due_base(self, contents: Contents, watch: BaseWatch) -> Base | None:
        """A further base, where the newest one is older than a day; it is for the caller to write down."""
        newest_ms = max((base.taken_ms for base in contents.bases), default=0)
        if not self._keep_ms or now_ms() - newest_ms < policy.BASE_EVERY_MS:
            return None
        base = watch.newest()
        known = {(each.name, each.digest) for each in contents.bases}
        return base if base is not None and (base.name, base.digest) not in known else None


def delete_before(directory: Path, before_ms: int) -> list[int]:
    """Delete segments that were closed before `before_ms` and lie before a base; returns their numbers.

    The new first number is durable before anything goes, so that a crash leaves files nobody asks for, never a gap.
    """
    archive = Archive(directory)
    gone: list[Segment] = []
    bases = archive.bases()
    for segment, following in zip(archive.segments, archive.segments[1:], strict=False):
        ends = following.opening.ends
        covered = any(base.seq >= ends.seq and base.cmd >= ends.cmd for base in bases)
        if following.opening.created_ms >= before_ms or not covered:
            break
        gone.append(segment)
    if not gone:
        return []
    write_first_number(directory, gone[-1].number + 1)
    for path in directory.glob(f"*{SUFFIX}"):  # also what a crash left at this place
        if path < segment_path(directory, gone[-1].number + 1):
            path.unlink()
    sync_directory(directory)
    kept = {base.name for base in Archive(directory).bases()}
    for base in bases:
        if base.name not in kept:
            (bases_dir(directory) / base.name).unlink(missing_ok=True)
    log.info("old segments deleted", first=gone[0].number, last=gone[-1].number)
    return [segment.number for segment in gone]
