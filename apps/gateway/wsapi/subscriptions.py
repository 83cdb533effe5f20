"""User data subscriptions of one WebSocket API connection.

Invariants: one subscription an account; the answer to a subscription is queued before its first event; no event comes
after the `eventStreamTerminated` that tells its end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from apps.common.clock import now_ms
from apps.gateway import errors, userevents
from apps.gateway.heldframes import HeldFrames
from apps.gateway.keys import Credential
from apps.gateway.told import Told

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
    # What is still to be sent.
    held: HeldFrames


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

    async def begin(
        self, credential: Credential, *, of_session: bool, from_seq: int | None = None, shows_seq: bool = False
    ) -> dict[str, int]:
        """The answer to the request. Raises -2035, -1191, -2042, 503 when the events cannot be loaded, with `from_seq`
        -1130 when those after it cannot be had and -1008 when too much waits for clients already. With `shows_seq`
        frames say from where to go on.
        """
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
        held = HeldFrames(self._connection.socket, self._connection.gateway.held_bytes)
        try:
            seq = await self._begin(
                number, credential, held, of_session=of_session, from_seq=from_seq, shows_seq=shows_seq
            )
        except BaseException:
            held.drop()
            if self._next == number + 1:
                # Nobody has been told of it.
                self._next = number
            raise
        finally:
            self._beginning.discard(account_id)
        return {"subscriptionId": number, "seq": seq} if shows_seq else {"subscriptionId": number}

    async def _begin(
        self, number: int, credential: Credential, held: HeldFrames, *, of_session: bool, from_seq: int | None,
        shows_seq: bool,
    ) -> int:  # fmt: skip
        """Exactly what happens after this event is told."""
        account_id, socket = credential.account_id, self._connection.socket

        def sink(told: Told) -> None:
            texts = told.texts(in_microseconds=self._connection.in_microseconds)
            frames = [_frame(number, text) for text in texts]
            if shows_seq:
                # The command is told with this one.
                frames[-1] = f'{frames[-1][:-1]},"seq":{told.seq}}}'
            held.add(frames)

        def lost() -> None:
            socket.push(self._terminated(number))
            socket.close(RESUBSCRIBE, "events were lost; connect again")

        user_data = self._connection.gateway.user_data
        if from_seq is None:
            subscribed = await user_data.subscribe(account_id, sink, lost)
        else:
            if self._connection.gateway.held_bytes.is_half_full:
                raise errors.too_many_readings()
            subscribed = await user_data.resume(account_id, from_seq, sink, lost)
        if socket.closed:
            subscribed.leave()
            held.drop()
            return subscribed.seq
        if of_session and self._connection.session is not credential:
            # It has ended meanwhile.
            subscribed.leave()
            raise errors.session_required()
        self._active[number] = Subscription(account_id, of_session, subscribed.leave, held)
        self._connection.after_answer(held.release)
        return subscribed.seq

    def _terminated(self, number: int) -> str:
        event = userevents.stream_terminated(now_ms())
        if self._connection.in_microseconds:
            event = userevents.in_microseconds(event)
        return _frame(number, encode(event).decode())

    def end(self, number: int) -> None:
        """No more events; the client is told behind the answer of the request that ended it."""
        ended = self._active.pop(number)
        ended.leave()
        ended.held.drop()
        self._connection.after_answer(lambda: self._connection.socket.push(self._terminated(number)))

    def end_those_of_session(self) -> None:
        for number in [number for number, each in self._active.items() if each.of_session]:
            self.end(number)

    def leave(self) -> None:
        """The connection has ended."""
        for each in self._active.values():
            each.leave()
            each.held.drop()
        self._active.clear()


def _frame(number: int, event: str) -> str:
    return f'{{"subscriptionId":{number},"event":{event}}}'
