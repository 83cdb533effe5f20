"""News to redis-edge, over its failures: who follows the stream neither misses nor hears twice what happened."""

import time
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from apps.common.clock import now_ms
from apps.markets.marketdata import wire
from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.shardfeed import ShardFeed

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 5.0

edge_up = Gauge("nebannpet_marketdata_edge_up", "1 while redis-edge takes what is published")
records_total = Counter("nebannpet_marketdata_records_total", "Records published", ["kind"])
edge_failures = Counter("nebannpet_marketdata_edge_failures_total", "Publications that failed")


class Publisher:
    """`ok` says whether readers are being told. After a failure, and at the start, they are met where they stand."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.ok = False
        self._failed = False
        self._retry_at_s = 0.0
        self._pause_s = RETRY_S
        self._after = "0-0"

    def close(self) -> None:
        self._edge.close()

    def start_again(self) -> None:
        """The state was loaded anew: readers are met at the next call, at once."""
        self.ok = False
        self._retry_at_s = 0.0

    def tell(self, shard: ShardFeed, news: Sequence[wire.Record], *, with_snapshots: bool) -> None:
        """Append the news and rewrite snapshots that are due or missing. A failure loses nothing: see `_meet`."""
        if not self.ok and time.monotonic() < self._retry_at_s:
            return
        try:
            if not self.ok:
                self._meet(shard)
            elif news:
                self._publish(news)
            if with_snapshots:
                for market_id in self._edge.missing_snapshots(list(shard.markets)):
                    shard.markets[market_id].snapshot_due = True
                self._edge.write_snapshots(shard.due_snapshots(self._after), shard.states())
        except RedisError as error:
            self._fail(error)

    def _meet(self, shard: ShardFeed) -> None:
        """Bring readers from what redis-edge says they know to the state as it is.

        News of this turn is part of that state: depth comes from the chains, prints are on the tape.
        """
        news = shard.resume(self._edge.told(list(shard.markets)))
        self._after = self._edge.last_entry_id()
        for kind in ("depth", "depth1s"):
            news += shard.depth_news(kind, now_ms())
        if news:
            self._publish(news)
        self._edge.write_snapshots(shard.due_snapshots(self._after), shard.states())
        self.ok, self._failed = True, False
        self._pause_s = RETRY_S
        edge_up.set(1)
        log.info("market data is published", seq=shard.seq)

    def _publish(self, news: Sequence[wire.Record]) -> None:
        self._after = self._edge.publish(news)
        for record in news:
            records_total.labels(record["t"]).inc()

    def _fail(self, error: RedisError) -> None:
        edge_failures.inc()
        edge_up.set(0)
        if not self._failed:
            log.warning("redis-edge is away; market data goes on without it", error=str(error))
        self.ok, self._failed = False, True
        self._retry_at_s = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, RETRY_S_MAX)
