"""Key names on redis-core and redis-edge, in one place. Braces are literal: a shard's keys share one hash slot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """Keys of one shard on redis-core (architecture.md section 3)."""

    shard: str

    def _key(self, part: str) -> str:
        return f"{{{self.shard}}}:{part}"

    @property
    def commands(self) -> str:
        """Stream. Entry `*`, field d = one or more whole frame runs of 128-byte command frames, k = their CRC-32."""
        return self._key("commands")

    @property
    def events(self) -> str:
        """Stream. Entry `<last_seq>-0`; fields e epoch, f first seq, p previous chain, h chain, c last command entry,
        d events, r rules version of the engine that made them."""
        return self._key("events")

    @property
    def head(self) -> str:
        """Hash: seq, chain, cmd of the newest event entry."""
        return self._key("head")

    @property
    def epoch(self) -> str:
        """String: the newest epoch; appends of an older one are refused."""
        return self._key("epoch")

    @property
    def lease(self) -> str:
        """String with expiry: who is the active worker (liveness only)."""
        return self._key("lease")

    @property
    def skips(self) -> str:
        """Hash: command id or range -> reason; every replay reads it first."""
        return self._key("skips")

    @property
    def trimmed(self) -> str:
        """Hash: what was trimmed: `cmd` (a command id) and `seq` (events up to and including it)."""
        return self._key("trimmed")

    @property
    def cursors(self) -> str:
        """Hash: reader name -> 'stream:position:heartbeat_ms'; trimming stops at the slowest."""
        return self._key("cursors")

    @property
    def frames_in(self) -> str:
        """String: frames ever appended; the backlog is frames_in - frames_done."""
        return self._key("frames_in")

    @property
    def frames_done(self) -> str:
        """String: frames ever processed."""
        return self._key("frames_done")

    @property
    def settled(self) -> str:
        """String: the event seq up to which PostgreSQL is settled, announced after each commit."""
        return self._key("settled")

    @property
    def settled_channel(self) -> str:
        """Pub/sub channel that carries the same number; PostgreSQL stays the authority."""
        return self._key("settled:news")

    @property
    def unsettled_reads_channel(self) -> str:
        """Pub/sub channel: a reader waits until the event of this seq is settled."""
        return self._key("settled:wanted")

    @property
    def disk_free(self) -> str:
        """String with expiry: free bytes on the disk of the active worker's data directory."""
        return self._key("disk_free")


def market_data_stream(shard: str) -> str:
    """redis-edge stream of neutral public records (msgpack), capped."""
    return f"{{{shard}}}:md"


def market_data_states(shard: str) -> str:
    """redis-edge string with expiry: msgpack states of all markets, rewritten each second while market data runs."""
    return f"{{{shard}}}:md:states"


def market_data_snapshot(shard: str, market_id: int) -> str:
    """redis-edge string: msgpack book, tickers and current candles of one market at one event seq."""
    return f"{{{shard}}}:md:snapshot:{market_id}"
