"""Command entries through the engine: the same steps live, in recovery and in every replay."""

from collections.abc import Sequence
from itertools import groupby

from apps.matching.core import Core
from apps.matching.engine.errors import InvariantBroken, RelayGap
from apps.matching.errors import BadCommand, EngineFailed, RelayNumbersMissing, SkipFailed
from apps.matching.skips import Skips
from apps.matching.stamping import stamp_entry
from apps.streams.bus.base import CommandEntry
from apps.streams.codec import iter_runs
from apps.streams.kinds import Reason
from apps.streams.records import FRAME_SIZE, FrameError


def apply_entries(core: Core, entries: Sequence[CommandEntry], skips: Skips) -> bytes:
    """All events of the entries, in order.

    BadCommand before anything of any entry was applied. EngineFailed, RelayNumbersMissing, SkipFailed: the core's
    state is undefined from here on.
    """
    stamped = [_checked(entry, number) for number, entry in enumerate(entries)]
    if not skips:
        return _process(core, b"".join(stamped))
    events = []
    for touched, group in groupby(zip(entries, stamped, strict=True), key=lambda pair: skips.touches(pair[0].id)):
        if touched:
            events += [_apply_one_by_one(core, entry, frames, skips) for entry, frames in group]
        else:
            events.append(_process(core, b"".join(frames for _, frames in group)))
    return b"".join(events)


def _apply_one_by_one(core: Core, entry: CommandEntry, frames: bytes, skips: Skips) -> bytes:
    events = []
    for index, (offset, length) in enumerate(iter_runs(frames)):
        run = frames[offset : offset + length]
        reason = skips.reason(entry.id, index, run[1])
        events.append(_process(core, run) if reason is None else _skip(core, run, reason))
    return b"".join(events)


def _checked(entry: CommandEntry, good_entries: int) -> bytes:
    try:
        return stamp_entry(entry)
    except FrameError as error:
        raise BadCommand(
            f"command entry {entry.id} ({len(entry.frames)} bytes) is not valid: {error}. Nothing of it was applied."
            " If a newer release wrote it, start that release; else find the writer before the shard goes on.",
            good_entries=good_entries,
        ) from error


def _process(core: Core, frames: bytes) -> bytes:
    try:
        return core.process(frames)
    except RelayGap as error:
        raise RelayNumbersMissing(
            f"command {_shown(core)}: {error}. A relayed command is missing from the log, and money with it."
        ) from error
    except Exception as error:
        raise EngineFailed(
            f"the engine failed at command {_shown(core)} ({len(frames) // FRAME_SIZE} frames in the batch): "
            f"{type(error).__name__}: {error}. Its state was discarded; nothing of the batch was published.",
            command=core.applying,
            invariant_broken=isinstance(error, InvariantBroken),
        ) from error


def _skip(core: Core, run: bytes, reason: Reason) -> bytes:
    try:
        return core.skip(run, reason)
    except Exception as error:
        raise SkipFailed(
            f"the engine failed at skipping command {_shown(core)}: {type(error).__name__}: {error}. Nothing of the"
            " batch was published."
        ) from error


def _shown(core: Core) -> str:
    ms, n, index = core.applying
    return f"{ms}-{n}-{index}"
