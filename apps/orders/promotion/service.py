"""The second site becomes the primary one (E13), in an order in which every interruption is safe.

    signs of life -> all checks -> [noted on disk] -> PostgreSQL promoted -> what arrived meanwhile compared
    -> redis-core promoted -> the standby worker, which has waited for that, takes the lease and trades

Until redis-core is promoted nothing serves here: the worker cannot take its lease on a replica, and nobody can append
a command. And until then the primary site, if it is alive after all, may go on acknowledging, because all that it
acknowledges is here. With redis-core's promotion that ends, in one step and by itself: its readers read here
(streams/bus/replicated.py).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from apps.common.clock import now_ms
from apps.orders.archive.process import READER_COMMANDS, READER_EVENTS
from apps.orders.promotion.checks import Compared, compare
from apps.orders.promotion.core import NOT_PERSISTED, CoreSite
from apps.orders.promotion.errors import NoSecondSite, PrimaryAnswers
from apps.orders.promotion.heartbeat import signs_of_life
from apps.orders.promotion.postgres import PostgresSite
from apps.orders.promotion.progress import Begun, Progress
from apps.orders.reconciliation import record
from apps.streams.bus.base import Bus

NEXT: Final = (
    "The standby worker of this site takes over by itself within seconds. Start the other processes (docs/two-sites.md,"
    " 'Promote'), send the clients here, and make sure that the old site is off or cut off before anything of it is"
    " changed: it can acknowledge nothing while it reads its events from here."
)
ONE_COPY: Final = (
    "WARNING: this site now has the only copy. synchronous_standby_names is empty, so commits wait for nobody. Build a"
    " new second site (docs/two-sites.md, 'Fail back')."
)


class Promotion:
    """`say` gets one line for the operator at each step; `audit` records in the audit log that it was promoted. After
    an interruption that may be recorded once more, but it is never left out."""

    def __init__(
        self,
        *,
        core: CoreSite,
        postgres: PostgresSite,
        bus: Bus,
        snapshots: Path,
        progress: Progress,
        say: Callable[[str], None],
        audit: Callable[[], None],
    ) -> None:
        self._core = core
        self._postgres = postgres
        self._bus = bus
        self._snapshots = snapshots
        self._progress = progress
        self._say = say
        self._audit = audit

    def check(self) -> Compared:
        """All comparisons and nothing else, also while the primary trades. Raises CheckFailed."""
        self._core.check_durable()
        if self._postgres.is_standby():
            self._postgres.wait_until_replayed()
        return self._compare()

    def run(self, *, primary_is_lost: bool) -> None:
        """Raises PromotionRefused; run it again after an interruption, and it goes on."""
        standby, replica = self._postgres.is_standby(), self._core.is_replica()
        begun = self._progress.read()
        unfinished = begun is not None and not begun.finished_ms
        if not standby and not replica:
            if begun is not None and unfinished:
                self._finish(begun)
            else:
                self._say("This site's servers are primaries already; nothing was changed.")
            return
        if not standby and not unfinished:
            raise NoSecondSite(
                "PostgreSQL here is no standby, and no promotion was begun here: this is not a second site, or another"
                " site's redis-core is configured (REDIS_CORE_URL must name this site's own). Nothing was changed."
            )
        if not primary_is_lost and standby:
            self._refuse_while_primary_lives()
        compared = self.check()
        self._promote(compared, standby=standby, replica=replica)

    def _promote(self, compared: Compared, *, standby: bool, replica: bool) -> None:
        begun = Begun(self._bus.shard, now_ms(), compared.head.seq, compared.replays[-1].state_hash)
        self._progress.write(begun)
        self._postgres.forget_standbys()
        if standby:
            self._postgres.promote()
            self._say("promoted: PostgreSQL")
            if self._moved(compared):
                self._say("more had arrived by then; comparing again")
                self._compare()
        if replica:
            self._core.promote()
            self._say("promoted: redis-core")
        self._finish(begun)

    def _finish(self, begun: Begun) -> None:
        self._postgres.forget_standbys()
        for reader in (READER_COMMANDS, READER_EVENTS):
            # They say what the other site's archive has. Without them nothing is trimmed until this site's has begun.
            self._bus.drop_cursor(reader)
        persisted = self._core.persist()
        # Before the note that all is done: what is interrupted here is gone on with, and recorded.
        self._audit()
        self._progress.write(replace(begun, finished_ms=now_ms()))
        self._say(f"This site is the primary now, from event {begun.seq}, state hash {begun.state_hash}.")
        if not persisted:
            self._say(f"WARNING: {NOT_PERSISTED}")
        self._say(ONE_COPY)
        self._say(NEXT)

    def _refuse_while_primary_lives(self) -> None:
        signs = list(signs_of_life(self._bus, self._core, self._postgres))
        if signs:
            raise PrimaryAnswers(
                f"The primary site is alive: {', '.join(signs)}. For a planned change stop it first (make run: Ctrl-C;"
                " docker compose stop), then run this again. If it must be replaced all the same, --primary-is-lost"
                " does it: from that moment it acknowledges nothing, provided that its gateway, settlement and"
                " marketdata run with REDIS_CORE_READ_URL (docs/two-sites.md, 'What fences the old site'). Nothing was"
                " changed."
            )

    def _compare(self) -> Compared:
        compared = compare(self._bus, self._snapshots)
        head, settled = compared.head, compared.settled
        self._say(
            f"log: one history up to event {head.seq} (chain {head.chain or 'none'}), PostgreSQL at {settled.seq}"
        )
        for replayed in compared.replays:
            self._say(f"state: {replayed.source}, event {replayed.seq}: {replayed.state_hash}")
        if len(compared.replays) == 1:
            self._say("state: this site has no second source of its state; the chain and the ledger speak for it")
        counts = ", ".join(f"{count} {name}" for name, count in compared.counts.items())
        self._say(f"ledger: equal at event {settled.seq}: {counts}")
        return compared

    def _moved(self, compared: Compared) -> bool:
        with record.connect() as connection:
            settled = record.watermark(connection, self._bus.shard)
        return (self._bus.head(), settled) != (compared.head, compared.settled)
