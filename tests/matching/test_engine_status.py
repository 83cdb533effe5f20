"""engine_status on a real worker, and its clear answers when there is none."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import redis
from django.core.management import CommandError, call_command

from apps.common.clock import now_ms
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.models import EngineEpoch, Watermark
from apps.matching.report import StatusUnavailable, as_text, engine_status
from apps.matching.skips import Skips
from apps.matching.status import Phase
from apps.streams.bus.base import Bus, CommandEntry, EntryId
from apps.streams.kinds import Reason, Side
from tests.matching.conftest import RunningWorker
from tests.matching.traffic import opening, order

pytestmark = pytest.mark.django_db


def test_everything_an_operator_asks_for(bus: Bus, start: Callable[..., RunningWorker], directory: Path) -> None:
    start().wait_for(Phase.ACTIVE)
    bus.append_commands(
        b"".join([*opening(), order(1, price_ticks=4_900_000), order(2, side=Side.SELL, price_ticks=5_100_000)])
    )
    bus.set_cursor("settlement", stream="events", position="3", now_ms=now_ms())
    Watermark.objects.create(shard="spot", reader="settlement", seq=2)
    EngineEpoch.objects.create(shard="spot", epoch=1, holder="x")
    status = engine_status(bus, directory, now_ms=now_ms(), timeout_s=60)
    assert (status.epoch, status.epoch_in_postgres, status.backlog_frames >= 0) == (1, 1, True)
    assert status.holder.startswith("test@")
    assert status.seq == status.state_seq == bus.head().seq
    assert status.chain == bus.head().chain
    assert [(r.name, r.behind) for r in status.readers] == [
        ("settlement", status.seq - 3), ("settlement (PostgreSQL)", status.seq - 2)
    ]  # fmt: skip
    (book,) = status.books
    assert (book.symbol, book.state, book.best_bid_ticks, book.best_ask_ticks, book.open_orders) == (
        "BTCUSDT", "OPEN", 4_900_000, 5_100_000, 2
    )  # fmt: skip
    newest = snapshots.newest(directory)
    assert newest is not None
    assert status.state_hash == Engine.restore(newest.body).state_hash()
    assert status.trimming_waits_for == ("archive-commands", "archive-events")
    assert "NOTHING IS TRIMMED before these readers are there: archive-commands" in as_text(status)
    for part in (status.state_hash, status.chain, "BTCUSDT", "settlement", "4900000"):
        assert part in as_text(status)


def test_a_poisoned_market_is_shown_with_its_cause_and_its_skipped_commands(bus: Bus, directory: Path) -> None:
    core = Engine()
    apply_entries(core, [CommandEntry(EntryId(1, 0), b"".join(opening()))], Skips())
    poison = [CommandEntry(EntryId(2, n), order(n)) for n in range(3)]
    apply_entries(core, poison, Skips({(2, n, 0): Reason.INTERNAL for n in range(3)}))
    snapshots.write(directory, core, Engine, Position(core.seq, "0" * 64, EntryId(2, 2)))
    status = engine_status(bus, directory, now_ms=now_ms(), timeout_s=60)
    (book,) = status.books
    assert (book.state, book.cause, book.skips) == ("CANCEL_ONLY", "POISON", 3)
    assert "CANCEL_ONLY (POISON)" in as_text(status)
    assert "3 skipped" in as_text(status)


def test_a_worker_that_does_not_answer_is_named(bus: Bus, directory: Path) -> None:
    bus.take_lease("stuck:1", ttl_ms=60_000)
    with pytest.raises(StatusUnavailable, match="stuck:1"):
        engine_status(bus, directory, now_ms=now_ms(), timeout_s=0.2)


def test_command_without_a_worker(core: redis.Redis, settings: object, tmp_path: Path, redis_core_url: str) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    settings.REDIS_CORE_URL = redis_core_url  # type: ignore[attr-defined]
    out = StringIO()
    with pytest.raises(CommandError, match="no state can be shown"):
        call_command("engine_status", stdout=out)
    # The log is shown all the same: it is what a person looks for while the shard is halted.
    for part in ("held by NOBODY", "backlog 0 frames", "readers", "NO WORKER IS ACTIVE", "manage.py process list"):
        assert part in out.getvalue()


def test_command_with_the_newest_snapshot(
    core: redis.Redis, settings: object, tmp_path: Path, redis_core_url: str
) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    settings.REDIS_CORE_URL = redis_core_url  # type: ignore[attr-defined]
    snapshots.write(snapshots.shard_dir(tmp_path, "spot"), Engine(), Engine, Position())
    out = StringIO()
    call_command("engine_status", "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert shown["state_hash"] == Engine().state_hash()
    assert shown["holder"] == ""
    out = StringIO()
    call_command("engine_status", stdout=out)
    assert "held by NOBODY" in out.getvalue()
