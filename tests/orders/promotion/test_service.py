"""The order of a promotion: what each state of the servers and of the note on disk leads to, and what is left alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from apps.orders.promotion import service
from apps.orders.promotion.checks import Compared, Replayed
from apps.orders.promotion.core import CoreSite
from apps.orders.promotion.errors import CheckFailed, NoSecondSite, PrimaryAnswers
from apps.orders.promotion.postgres import PostgresSite
from apps.orders.promotion.progress import Begun, Progress
from apps.orders.promotion.service import Promotion
from apps.orders.settlement.entries import Position
from apps.streams.bus.base import EntryId, Head
from apps.streams.bus.memory import MemoryBus

CHECKS = ["durable", "compared"]
WHOLE = [*CHECKS, "standbys forgotten", "postgres", "core", "standbys forgotten", "persisted", "audited"]


class Site:
    """Both servers; writes down what was done to them. `fails_at` raises there, as a kill would end it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, *, standby: bool, replica: bool) -> None:
        self.standby, self.replica = standby, replica
        self.done: list[str] = []
        self.alive = self.differs = False
        self.persists = True
        self.fails_at = ""
        self.said: list[str] = []
        self.progress = Progress(directory)
        self.bus = MemoryBus("spot")
        for reader in ("archive-events", "archive-commands", "settlement"):
            self.bus.set_cursor(reader, stream="events", position="3", now_ms=1)
        self.head = self.bus.head()
        self.settled = Position(0, "", 0)
        monkeypatch.setattr(service, "compare", self.compare)
        monkeypatch.setattr(service, "signs_of_life", lambda *_: ["its redis-core answers"] if self.alive else [])
        monkeypatch.setattr(service.record, "connect", lambda: self)
        monkeypatch.setattr(service.record, "watermark", lambda *_: self.settled)

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _do(self, what: str) -> None:
        if what == self.fails_at:
            raise KeyboardInterrupt(what)
        self.done.append(what)

    def compare(self, *_: object) -> Compared:
        if self.differs:
            raise CheckFailed("ledger", "one unit too much")
        self._do("compared")
        return Compared(self.head, self.settled, [Replayed("replay from empty", 0, "ab")], {"trades": 3})

    # -- both servers -------------------------------------------------------------------------------------------------
    def is_standby(self) -> bool:
        return self.standby

    def is_replica(self) -> bool:
        return self.replica

    def check_durable(self) -> None:
        self._do("durable")

    def wait_until_replayed(self) -> None:
        pass

    def forget_standbys(self) -> None:
        self._do("standbys forgotten")

    def persist(self) -> bool:
        self._do("persisted")
        return self.persists

    def promotion(self) -> Promotion:
        postgres = _With(self, promote=self._promote_postgres)
        core = _With(self, promote=self._promote_core)
        return Promotion(
            core=cast(CoreSite, core), postgres=cast(PostgresSite, postgres), bus=self.bus, snapshots=Path(),
            progress=self.progress, say=self.said.append, audit=lambda: self._do("audited"),
        )  # fmt: skip

    def _promote_postgres(self) -> None:
        self._do("postgres")
        self.standby = False

    def _promote_core(self) -> None:
        self._do("core")
        self.replica = False


class _With:
    def __init__(self, site: Site, *, promote: Callable[[], None]) -> None:
        self._site = site
        self.promote = promote

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    return Site(monkeypatch, tmp_path, standby=True, replica=True)


def test_compared_then_postgres_then_redis_core(second: Site) -> None:
    second.promotion().run(primary_is_lost=False)
    assert second.done == WHOLE
    begun = second.progress.read()
    assert begun is not None
    assert begun.finished_ms
    assert set(second.bus.cursors()) == {"settlement"}
    assert any("only copy" in line for line in second.said)
    second.promotion().run(primary_is_lost=False)
    assert second.done == WHOLE
    assert second.said[-1] == "This site's servers are primaries already; nothing was changed."


@pytest.mark.parametrize("step", ["standbys forgotten", "postgres", "core", "persisted", "audited"])
def test_what_was_interrupted_is_gone_on_with(second: Site, step: str) -> None:
    second.fails_at = step
    with pytest.raises(KeyboardInterrupt):
        second.promotion().run(primary_is_lost=False)
    second.fails_at = ""
    second.promotion().run(primary_is_lost=False)
    assert (second.standby, second.replica) == (False, False)
    assert second.done.count("postgres") == second.done.count("core") == 1
    assert second.done[-2:] == ["persisted", "audited"]
    assert second.done.index("compared") < second.done.index("postgres") < second.done.index("core")
    begun = second.progress.read()
    assert begun is not None
    assert begun.finished_ms


def test_a_primary_that_is_alive_is_left_alone_unless_it_is_said_to_be_lost(second: Site) -> None:
    second.alive = True
    with pytest.raises(PrimaryAnswers, match="its redis-core answers"):
        second.promotion().run(primary_is_lost=False)
    assert (second.done, second.progress.read()) == ([], None)
    second.promotion().run(primary_is_lost=True)
    assert second.done == WHOLE


def test_a_failed_check_changes_nothing(second: Site) -> None:
    second.differs = True
    with pytest.raises(CheckFailed, match="one unit too much"):
        second.promotion().run(primary_is_lost=True)
    assert (second.done, second.progress.read()) == (["durable"], None)
    assert set(second.bus.cursors()) == {"archive-events", "archive-commands", "settlement"}


def test_what_arrived_meanwhile_is_compared_too(second: Site) -> None:
    """And where that fails, redis-core stays a replica: nothing serves."""
    promote = second._promote_postgres

    def more_arrives() -> None:
        promote()
        second.settled = Position(9, "cd", 1)
        second.differs = True

    second._promote_postgres = more_arrives  # type: ignore[method-assign]
    with pytest.raises(CheckFailed):
        second.promotion().run(primary_is_lost=True)
    assert second.replica
    assert second.done == [*CHECKS, "standbys forgotten", "postgres"]
    second.differs = False
    second.promotion().run(primary_is_lost=True)
    assert second.done[-4:] == ["core", "standbys forgotten", "persisted", "audited"]


def test_a_redis_core_that_was_promoted_by_hand_is_compared_before_postgres_follows(second: Site) -> None:
    second.replica = False
    second.promotion().run(primary_is_lost=True)
    assert second.done == [*CHECKS, "standbys forgotten", "postgres", "standbys forgotten", "persisted", "audited"]


def test_a_site_that_never_was_a_second_one_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = Site(monkeypatch, tmp_path, standby=False, replica=False)
    first.promotion().run(primary_is_lost=True)
    assert first.done == []
    wrong = Site(monkeypatch, tmp_path, standby=False, replica=True)
    with pytest.raises(NoSecondSite, match="this is not a second site"):
        wrong.promotion().run(primary_is_lost=True)
    assert (wrong.done, wrong.progress.read()) == ([], None)


def test_the_note_of_a_former_promotion_does_not_count(second: Site) -> None:
    """The site was rebuilt as a second one on the same data directory."""
    second.progress.write(Begun("spot", begun_ms=1, seq=5, state_hash="ab", finished_ms=2))
    second.alive = True
    with pytest.raises(PrimaryAnswers):
        second.promotion().run(primary_is_lost=False)
    assert second.done == []


def test_a_role_that_cannot_be_persisted_is_warned_about(second: Site) -> None:
    second.persists = False
    second.promotion().run(primary_is_lost=True)
    assert any("BEFORE it restarts" in line for line in second.said)


def test_the_check_alone_changes_nothing(second: Site) -> None:
    second.head = Head(7, "ef", EntryId(1, 0))
    second.alive = True
    assert second.promotion().check().head.seq == 7
    assert (second.done, second.progress.read()) == (CHECKS, None)
