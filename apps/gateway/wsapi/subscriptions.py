"""User data subscriptions of one WebSocket API connection.

Invariants: one subscription an account; the answer to a subscription is queued before its first event; no event comes
after the `eventStreamTerminated` that tells its end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.common.clock import now_ms
from apps.gateway import errors, userevents
from apps.gateway.keys import Credential

if TYPE_CHECKING:
    from apps.gateway.wsapi.connection import WsApiConnection

encode: Final = msgspec.json.Encoder().encode
# Both are the dialect's: at a time, and over the life of a connection.
ACTIVE_MAX: Final = 1_000
NUMBERS_MAX: Final = 65_535
# 'Service restart': the client should connect again and subscribe anew.
RESUBSCRIBE: Final = 1012


@dataclass(frozen=True, slots=True)
class Subscription:
    account_id: int
    # Begun by the connection's session, and ends with it.
    of_session: bool
    leave: Callable[[], None]


class Subscriptions:
    def __init__(self, connection: "WsApiConnection") -> None:
        self._connection = connection
        self._active: dict[int, Subscription] = {}
        # Accounts whose events are being loaded.
        self._beginning: set[int] = set()
        self._next = 0

    @property
    def numbers(self) -> list[int]:
        return list(self._active)

    async def begin(self, credential: Credential, *, of_session: bool) -> dict[str, int]:
        """The answer to the request. Raises -2035, -1191, -2042, and 503 when the events cannot be loaded."""
        account_id = credential.account_id
        if account_id in self._beginning or any(each.account_id == account_id for each in self._active.values()):
            raise errors.subscription_active()
        if len(self._active) + len(self._beginning) >= ACTIVE_MAX:
            raise errors.too_many_subscriptions(ACTIVE_MAX)
        if self._next >= NUMBERS_MAX:
            raise errors.subscription_ids_used_up()
        number = self._next
        self._next += 1
        self._beginning.add(account_id)
        try:
            await self._begin(number, credential, of_session=of_session)
        finally:
            self._beginning.discard(account_id)
        return {"subscriptionId": number}

    async def _begin(self, number: int, credential: Credential, *, of_session: bool) -> None:
        account_id = credential.account_id
        socket = self._connection.socket
        held: list[str] | None = []

        def sink(event: dict[str, Any]) -> None:
            text = _frame(number, event)
            if held is None:
                socket.push(text)
            else:
                held.append(text)

        leave = await self._connection.gateway.user_data.subscribe(
            account_id, sink, lambda: socket.close(RESUBSCRIBE, "events were lost; connect again")
        )
        if socket.closed:
            leave()
            return
        if of_session and self._connection.session is not credential:
            # It has ended meanwhile.
            leave()
            raise errors.session_required()
        self._active[number] = Subscription(account_id, of_session, leave)

        def release() -> None:
            nonlocal held
            texts, held = held or [], None
            for text in texts:
                socket.push(text)

        self._connection.after_answer(release)

    def end(self, number: int) -> None:
        """No more events; the client is told behind the answer of the request that ended it."""
        self._active.pop(number).leave()
        text = _frame(number, userevents.stream_terminated(now_ms()))
        self._connection.after_answer(lambda: self._connection.socket.push(text))

    def end_those_of_session(self) -> None:
        for number in [number for number, each in self._active.items() if each.of_session]:
            self.end(number)

    def leave(self) -> None:
        """The connection has ended."""
        for each in self._active.values():
            each.leave()
        self._active.clear()


def _frame(number: int, event: dict[str, Any]) -> str:
    return f'{{"subscriptionId":{number},"event":{encode(event).decode()}}}'
