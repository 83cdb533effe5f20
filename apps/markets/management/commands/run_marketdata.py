"""The market data process (architecture.md section 2): books, trades, tickers and candles for everyone."""

import contextlib
import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.process import MarketData
from apps.streams.bus.replicated import event_bus
from nebannpet.health import serve_health


class Command(BaseCommand):
    help = "Publish market data from the event log to redis-edge and candles to PostgreSQL."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        settings.PATHS.make_private()
        with _only_one(settings.PATHS.run_dir / f"{settings.PATHS.of_shard('marketdata')}.lock"):
            process = MarketData(
                bus=event_bus(settings.REDIS_CORE_URL, settings.REDIS_CORE_READ_URL, settings.SHARD),
                edge=Edge(settings.REDIS_EDGE_URL, settings.SHARD),
                snapshot_dir=settings.DATA_DIR / "snapshots" / settings.SHARD,
            )

            def stop(_signal: int, _frame: FrameType | None) -> None:
                process.stop.set()

            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
            with serve_health("marketdata", process.health):
                process.run()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two producers would write one stream: the second does not start. The lock ends with the process."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"Market data runs already with this data directory ({path}).") from error
        yield
