"""User data that one stream connection gets by listen keys: each key is a stream, and its events come unwrapped.

A key that is over by time tells so (`listenKeyExpired`); one that its owner ended falls silent, as in the dialect. The
connection goes on with its other streams; without any it is closed. A revoked API key closes it at once.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.accounts.listenkeys import LENGTH
from apps.common.clock import now_ms
from apps.gateway import errors, userevents
from apps.gateway.errors import ApiError
from apps.gateway.heldframes import HeldFrames
from apps.gateway.keys import Credential, Revocable
from apps.gateway.limits.admission import refuse
from apps.gateway.listenkeys import Listening
from apps.gateway.policy import LISTEN_KEY_WEIGHT
from apps.gateway.socket import NORMAL, Socket
from apps.gateway.streams.control import ControlError
from apps.gateway.told import Told

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

# No public stream has a name like this.
LISTEN_KEY: Final = re.compile(rf"[A-Za-z0-9]{{{LENGTH}}}", re.ASCII)
# 'Service restart': the client should connect again.
RESUBSCRIBE: Final = 1012
REVOKED: Final = 4001
# Whether a key is still valid could not be asked: again so soon.
ASK_AGAIN_S: Final = 1.0


def is_listen_key(name: str) -> bool:
    return LISTEN_KEY.fullmatch(name) is not None


@dataclass(slots=True)
class _Stream:
    listening: Listening
    credential: Credential
    on_end: Callable[[], None]
    held: HeldFrames
    leave: Callable[[], None] | None = None
    timer: asyncio.TimerHandle | None = None
    is_released: bool = False


class UserStreams(Revocable):
    """`is_alone` says whether the connection has no other streams."""

    def __init__(
        self, gateway: "Gateway", socket: Socket, *, is_combined: Callable[[], bool], is_alone: Callable[[], bool],
        in_microseconds: bool, address: str,
    ) -> None:  # fmt: skip
        self._gateway = gateway
        self._socket = socket
        self._is_combined = is_combined
        self._is_alone = is_alone
        self._in_microseconds = in_microseconds
        self.address: str = address
        self._streams: dict[str, _Stream] = {}
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> list[str]:
        return list(self._streams)

    async def begin(self, listen_keys: list[str]) -> None:
        """Subscribe; all of them or none. Events wait for `release`. Raises ControlError."""
        begun: list[str] = []
        new = [listen_key for listen_key in dict.fromkeys(listen_keys) if listen_key not in self._streams]
        if not new:
            return
        try:
            await self._admit(len(new))
            for listen_key in new:
                begun.append(listen_key)
                await self._begin(listen_key)
        except ApiError as error:
            for listen_key in begun:
                self.end(listen_key)
            raise ControlError(error.number, error.message) from error

    async def _admit(self, count: int) -> None:
        """Whoever names listen keys, good ones or not, has the database asked. Raises what the limits refuse."""
        limits = self._gateway.limits
        usage = await limits.admit(self.address, LISTEN_KEY_WEIGHT * count)
        if usage.verdict:
            raise refuse(usage, limits.standard, is_wallet=False, at_ms=now_ms())

    async def _begin(self, listen_key: str) -> None:
        listening = await self._find(listen_key)
        credential = await self._gateway.credentials.find(listening.api_key, self.address)
        if not credential.can_read:
            raise errors.key_refused()
        stream = _Stream(
            listening, credential, lambda: self._ended(listen_key), HeldFrames(self._socket, self._gateway.held_bytes)
        )
        self._streams[listen_key] = stream
        self._gateway.credentials.follow(credential, self)
        self._gateway.listen_keys.follow(listening, stream.on_end)
        # It may have ended just before it was followed.
        await self._find(listen_key)
        subscribed = await self._gateway.user_data.subscribe(
            listening.account_id,
            lambda told: self._tell(listen_key, told),
            lambda: self._socket.close(RESUBSCRIBE, "events were lost; connect again"),
        )
        if self._streams.get(listen_key) is not stream or self._socket.closed:
            subscribed.leave()
            raise errors.listen_key_unknown()
        stream.leave = subscribed.leave
        self._watch(listen_key, stream, listening.left_s)

    async def _find(self, listen_key: str) -> Listening:
        listening = await self._gateway.listen_keys.find(listen_key)
        if listening is None:
            raise errors.listen_key_unknown()
        return listening

    def release(self) -> None:
        """The answer to the subscription is on its way: its events may follow."""
        for stream in self._streams.values():
            if not stream.is_released:
                stream.is_released = True
                stream.held.release()

    def _tell(self, listen_key: str, told: Told) -> None:
        stream = self._streams.get(listen_key)
        if stream is None:
            return
        events = told.texts(in_microseconds=self._in_microseconds)
        if self._is_combined():
            events = [f'{{"stream":"{listen_key}","data":{event}}}' for event in events]
        stream.held.add(events)

    def end(self, listen_key: str, *, drops: bool = True) -> None:
        """No more events. Unless it `drops` them, those that wait for a slow client are sent, behind the answer to the
        subscription: without that they are dropped all the same."""
        stream = self._streams.pop(listen_key, None)
        if stream is None:
            return
        if drops or not stream.is_released:
            stream.held.drop()
        if stream.leave is not None:
            stream.leave()
        if stream.timer is not None:
            stream.timer.cancel()
        self._gateway.listen_keys.unfollow(stream.listening, stream.on_end)
        if all(each.credential is not stream.credential for each in self._streams.values()):
            self._gateway.credentials.unfollow(stream.credential, self)

    def leave(self) -> None:
        """The connection has ended."""
        for listen_key in self.names:
            self.end(listen_key)
        for task in self._asking:
            task.cancel()

    def _ended(self, listen_key: str) -> None:
        self.end(listen_key)
        if not self._streams and self._is_alone():
            self._socket.close(NORMAL, "the listenKey was closed")

    def on_revoked(self) -> None:
        self._socket.close(REVOKED, "The key was revoked.")

    # -- until when -----------------------------------------------------------------------------------------------
    def _watch(self, listen_key: str, stream: _Stream, left_s: float) -> None:
        stream.timer = asyncio.get_running_loop().call_later(left_s, self._ask, listen_key, stream)

    def _ask(self, listen_key: str, stream: _Stream) -> None:
        task = asyncio.create_task(self._look(listen_key, stream))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _look(self, listen_key: str, stream: _Stream) -> None:
        """Its time is over, as far as this process knows: another one may have prolonged it."""
        try:
            listening = await self._gateway.listen_keys.find(listen_key)
        except ApiError:
            left_s: float | None = ASK_AGAIN_S
        else:
            left_s = listening.left_s if listening is not None else None
        if self._streams.get(listen_key) is not stream:
            return
        if left_s is not None:
            self._watch(listen_key, stream, left_s)
            return
        self._tell(listen_key, Told([userevents.listen_key_expired(listen_key, now_ms())], 0))
        self.end(listen_key, drops=False)
