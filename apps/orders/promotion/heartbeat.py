"""Whether the primary site is alive, as seen from the second one.

The heartbeat is the active worker's TICK, a command ten times a second, which arrives through the replica; beside it
the primary's redis-core is asked with a PING. Both silent means that the primary can acknowledge nothing: its readers
read from the replica here, and nothing arrives there (docs/decisions/0008). So silence is a reason to promote whether
the primary is dead or only cut off from here.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from apps.orders.promotion.core import CoreAway
from apps.orders.promotion.errors import NoSecondSite
from apps.streams.bus.base import EntryId
from apps.streams.bus.errors import BusError

# Ten ticks, and a pause of the worker's garbage collection or of a slow disk.
TICK_WINDOW_S: Final = 1.0
WATCH_EVERY_S: Final = 1.0


class CommandLog(Protocol):
    def last_command(self) -> EntryId: ...


class Core(Protocol):
    def is_replica(self) -> bool: ...
    def primary_answers(self) -> bool: ...


class Postgres(Protocol):
    def primary_answers(self) -> bool: ...


def signs_of_life(
    commands: CommandLog, core: Core, postgres: Postgres, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Each sign that the primary site gives within a few seconds, as words for the operator."""
    before = commands.last_command()
    sleep(TICK_WINDOW_S)
    if commands.last_command() > before:
        yield "commands arrive through the replica"
    if core.primary_answers():
        yield "its redis-core answers"
    if postgres.primary_answers():
        yield "its PostgreSQL answers"


class Watch:
    """Waits until the primary has been silent for `after_s` seconds by this machine's monotonic clock."""

    def __init__(
        self,
        commands: CommandLog,
        core: Core,
        *,
        after_s: int,
        say: Callable[[str], None],
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._commands = commands
        self._core = core
        self._after_s = after_s
        self._say = say
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._last: EntryId | None = None

    def wait_for_silence(self) -> None:
        """Returns once nothing was heard for `after_s`. NoSecondSite when this site is promoted meanwhile.

        It counts from the first sign of life: a watch that has never heard the primary knows nothing about it.
        While a server of this site is away nothing is counted, because nothing could be heard.
        """
        heard_s: float | None = None
        silent = False
        while True:
            try:
                heard = self._hears()
            except (BusError, CoreAway) as error:
                self._say(f"a server of this site is away, so nothing can be heard: {error}")
                heard_s = None if heard_s is None else self._monotonic_s()
                self._sleep(WATCH_EVERY_S)
                continue
            now_s = self._monotonic_s()
            if heard:
                if heard_s is None:
                    self._say(f"the primary site is heard; this site is promoted after {self._after_s} s of silence")
                elif silent:
                    self._say("the primary site is heard again")
                heard_s, silent = now_s, False
            elif heard_s is not None:
                if not silent:
                    self._say("the primary site is silent")
                silent = True
                if now_s - heard_s >= self._after_s:
                    return
            self._sleep(WATCH_EVERY_S)

    def _hears(self) -> bool:
        if not self._core.is_replica():
            raise NoSecondSite("This site's redis-core is no replica (any more): there is nothing to watch.")
        newest = self._commands.last_command()
        # The first look tells nothing: the newest command may be years old.
        moved, self._last = self._last not in (None, newest), newest
        return moved or self._core.primary_answers()
