"""The redis-core replica of a second site: what it is, whether it keeps what it is told, and its promotion."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from apps.orders.promotion.errors import CheckFailed, PromotionRefused

ANSWER_TIMEOUT_S: Final = 5.0
PING_TIMEOUT_S: Final = 2.0
REWRITE_TIMEOUT_S: Final = 300.0
POLL_S: Final = 0.1

NOT_PERSISTED: Final = (
    "redis-core was not started from a configuration file, or may not write it. Take 'replicaof' out of what it is"
    " started with BEFORE it restarts: it would follow the old primary again, and lose what happens here from now on."
)


class CoreAway(PromotionRefused):
    """This site's redis-core does not answer."""

    code = "core_away"


class NotPermitted(PromotionRefused):
    """The user of REDIS_CORE_URL may not do what a promotion needs."""

    code = "not_permitted"


class CoreSite:
    """This site's redis-core. CoreAway where it is away; no command is ever repeated by itself."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=ANSWER_TIMEOUT_S,
            decode_responses=True,
        )

    def close(self) -> None:
        self._client.close()

    def is_replica(self) -> bool:
        return bool(self._replication()["role"] == "slave")

    def receives(self) -> bool:
        """Whether the connection to the primary stands at this moment; a frozen primary's does for a while."""
        return self._replication().get("master_link_status") == "up"

    def primary_answers(self) -> bool:
        """Whether the server that this replica follows says anything at all to a PING within PING_TIMEOUT_S."""
        found = self._replication()
        if "master_host" not in found:
            return False
        address = (str(found["master_host"]), int(found["master_port"]))
        with contextlib.suppress(OSError), socket.create_connection(address, PING_TIMEOUT_S) as line:
            line.settimeout(PING_TIMEOUT_S)
            # A refusal of the password, or of plain text by a TLS port, is an answer too.
            line.sendall(b"PING\r\n")
            return bool(line.recv(1))
        return False

    def check_durable(self) -> None:
        """It must keep what it answers: CheckFailed 'durability' unless every write is fsynced to its file.

        After a full synchronisation Redis writes its file anew before it appends to it again; that is waited for.
        """
        found = self._ask("CONFIG", "GET", "append*")
        settings = dict(zip(found[::2], found[1::2], strict=True)) if isinstance(found, list) else dict(found)
        wrong = [
            f"{name} is {settings.get(name)!r} and must be {wanted!r}"
            for name, wanted in (("appendonly", "yes"), ("appendfsync", "always"))
            if settings.get(name) != wanted
        ]
        if wrong:
            raise CheckFailed("durability", f"redis-core here would lose writes: {'; '.join(wrong)} (CONFIG SET).")
        deadline = time.monotonic() + REWRITE_TIMEOUT_S
        while True:
            state = self._info("persistence")
            if not (int(state["aof_rewrite_in_progress"]) or int(state["aof_rewrite_scheduled"])):
                break
            if time.monotonic() > deadline:
                raise CheckFailed("durability", "redis-core here does not finish writing its append-only file anew.")
            time.sleep(POLL_S)
        if state["aof_last_bgrewrite_status"] != "ok" or state["aof_last_write_status"] != "ok":
            raise CheckFailed("durability", "redis-core here cannot write its append-only file; its log says why.")

    def promote(self) -> None:
        self._ask("REPLICAOF", "NO", "ONE")
        if self.is_replica():
            raise PromotionRefused("redis-core is still a replica; run this again.")

    def persist(self) -> bool:
        """Write the role into the server's configuration file; False where that is the operator's to do."""
        try:
            self._ask("CONFIG", "REWRITE")
        except (ResponseError, NotPermitted):
            return False
        return True

    def _replication(self) -> dict[str, Any]:
        return self._info("replication")

    def _info(self, section: str) -> dict[str, Any]:
        return dict(self._done(lambda: self._client.info(section)))

    def _ask(self, *command: str) -> Any:
        return self._done(lambda: self._client.execute_command(*command))  # type: ignore[no-untyped-call]

    @staticmethod
    def _done(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NoPermissionError as error:
            raise NotPermitted(
                f"The user of REDIS_CORE_URL may not do this: {error}. It needs INFO, CONFIG GET, CONFIG REWRITE and"
                " REPLICAOF; or run this command with a REDIS_CORE_URL of an administrator."
            ) from error
        except ResponseError:
            raise
        except RedisError as error:
            raise CoreAway(f"redis-core here cannot be asked: {error}") from error
