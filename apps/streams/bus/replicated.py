"""Events as a second site has them: read from a replica of redis-core; everything else is redis-core's own.

redis-core's replication is asynchronous, so an event may be durable here and unknown there. Where a second site is set
up, whoever tells somebody about events (gateway, settlement, market data) therefore reads them from its replica: what
they tell is durable on both sites (docs/decisions/0008).

The replica counts only while it is one. Each answer comes with the server's role, asked for in the same round trip, and
is dropped unless the role is that of a replica in step with its primary. So the moment at which the second site is
promoted ends every reader of the first one, also one that was paused or cut off and comes back: another site's events
would answer commands of this one (both number their commands by the clock), and that must not happen.
"""

from typing import Any, Self

from apps.streams.bus.base import EventEntry, Head, Trimmed
from apps.streams.bus.errors import BusAway, BusRefused
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus

ROLE_COMMAND = ("ROLE",)


class NotAReplica(BusAway):
    """The server of REDIS_CORE_READ_URL is no replica in step with its primary; what it says must not be told."""


def check_follows(role: Any) -> None:
    """`role` is the answer to ROLE. NotAReplica unless it is a replica that has all its primary sends it.

    A replica that has never finished a synchronisation answers from an empty data set, hence 'connected' and no less.
    """
    parts = role if isinstance(role, list) else [role]
    words = [part.decode() if isinstance(part, bytes) else part for part in parts]
    if words[0] == "master":
        raise NotAReplica(
            "the server of REDIS_CORE_READ_URL is no replica: the second site was promoted, and this one must not"
            " serve any more (docs/two-sites.md, 'Fail back')"
        )
    state = words[3] if len(words) > 3 else words[0]
    if words[0] != "slave" or state != "connected":
        raise NotAReplica(f"the replica of REDIS_CORE_READ_URL does not follow its primary ({state})")


def event_bus(url: str, read_url: str, shard: str) -> RedisBus:
    """The bus of a process that tells somebody about events: they come from `read_url`, all else goes to `url`."""
    return RedisBus(url, shard) if read_url == url else ReplicatedBus(url, read_url, shard)


class ReplicatedBus(RedisBus):
    """redis-core, with its events as a replica has them. `head()` is then the newest event that both sites have."""

    def __init__(self, url: str, read_url: str, shard: str) -> None:
        super().__init__(url, shard)
        self._read_url = read_url
        self._replica = _Replica(read_url, shard)

    def another(self) -> Self:
        return type(self)(self._url, self._read_url, self._shard)

    def close(self) -> None:
        self._replica.close()
        super().close()

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        return self._replica.read_events(after_seq, count=count, block_ms=block_ms)

    def head(self) -> Head:
        return self._replica.head()

    def chain_at(self, seq: int) -> str | None:
        return self._replica.chain_at(seq)

    def trimmed(self) -> Trimmed:
        return self._replica.trimmed()


class _Replica(RedisBus):
    def __init__(self, url: str, shard: str) -> None:
        super().__init__(url, shard)
        self._link = _ReplicaLink(url)


class _ReplicaLink(Link):
    """Reads whose answers are dropped unless the server is a replica right after them.

    After, because a promotion between an answer and the question for the role then costs a good answer, and never lets
    through a bad one.
    """

    def read(self, *arguments: str | bytes | int) -> Any:
        answer, role = self._call([arguments, ROLE_COMMAND], effect=False)
        if isinstance(role, Exception):
            raise BusRefused(f"the replica does not say its role: {role}") from role
        check_follows(role)
        return answer
