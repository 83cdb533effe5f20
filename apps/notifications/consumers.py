"""The socket of a page, at /live/: banners as they come and go, and hints that the user's notices have changed.

To the page, one JSON object a message:

    {"type": "banners", "signed_in": true, "banners": [{"id", "severity", "text", "link", "link_text", "dismissible"}]}
        all that this visitor sees now; the first message, and again whenever they are others
    {"type": "notices", "unread": 3}   the number of unread notices may be another; counted up to UNREAD_COUNTED_MAX
    {"type": "ping"}      nothing else was sent for LIVE_PING_S

From the page nothing is expected: whoever sends something is cut off. What a slow page has not taken is not queued for
it, but made anew when it can take more.
"""

import asyncio
import json
import time
from typing import Any, Final

import structlog
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from apps.notifications.live.hub import HUB
from apps.notifications.live.visitors import Visitor
from apps.notifications.policy import LIVE_PING_S
from apps.notifications.selectors import count_unread
from apps.notifications.shownbanners import Banners, banners_for

log = structlog.get_logger(__name__)

# Close codes: come back, as whoever you are now; we expected nothing from you; it is a mistake of ours.
AGAIN: Final = 4000
UNEXPECTED: Final = 1008
FAILED: Final = 1011
PING: Final = json.dumps({"type": "ping"})


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    # A channel of the layer for each socket would make redis-edge a condition for opening one; the hub has one for all.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.visitor: Visitor = self.scope["visitor"]
        self._woken = asyncio.Event()
        self._has_notices = self._is_ending = False
        self._writer: asyncio.Task[None] | None = None
        if not HUB.join(self):
            # Before it is accepted: 403.
            await self.close()
            return
        await self.accept()
        self._writer = asyncio.create_task(self._write())

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without Channels' thread that closes old connections of Django at every step, one socket after another: a
        socket has none, and a site that stops with thousands of sockets has seconds to tell them all.
        """
        await getattr(self, get_handler_name(message))(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        await self.disconnect(message["code"])
        raise StopConsumer

    async def disconnect(self, code: int) -> None:
        HUB.leave(self)
        if self._writer is not None:
            self._writer.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.close(UNEXPECTED)

    # -- LiveSocket ---------------------------------------------------------------------------------------------------
    def wake(self) -> None:
        self._woken.set()

    def tell_notices(self) -> None:
        self._has_notices = True
        self._woken.set()

    def end(self) -> None:
        self._is_ending = True
        self._woken.set()

    # -- writing ------------------------------------------------------------------------------------------------------
    async def _write(self) -> None:
        shown: Banners | None = None
        try:
            while True:
                self._woken.clear()
                if self._is_ending or self._left_s() <= 0:
                    await self.close(AGAIN)
                    return
                frames = []
                banners = banners_for(user_id=self.visitor.user_id, now=timezone.now())
                if banners != shown:
                    shown = banners
                    frames.append(frame_of(banners, signed_in=self.visitor.user_id is not None))
                if self._has_notices and self.visitor.user_id is not None:
                    self._has_notices = False
                    frames += await _notices(self.visitor.user_id)
                for frame in frames or [PING]:
                    await self.send(text_data=frame)
                await self._wait()
        except OSError:
            # The other end is gone; uvicorn tells `disconnect`, too.
            return
        except Exception:
            # An open socket that says nothing more would be believed for a while.
            log.exception("a page's socket failed")
            await self.close(FAILED)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(max(min(LIVE_PING_S, self._left_s()), 0)):
                await self._woken.wait()
        except TimeoutError:
            return

    def _left_s(self) -> float:
        """Until the session ends, if it is not used: then the page comes back, and who it is is looked at anew."""
        return float("inf") if self.visitor.ends_at_s is None else self.visitor.ends_at_s - time.time()


async def _notices(user_id: int) -> list[str]:
    """One message; none while PostgreSQL is away: the next page has the number."""
    try:
        unread = await database_sync_to_async(count_unread)(user_id=user_id)
    except (OperationalError, InterfaceError) as error:
        log.warning("an open page does not hear how many notices are unread", error=str(error).strip())
        return []
    return [json.dumps({"type": "notices", "unread": unread})]


def frame_of(banners: Banners, *, signed_in: bool) -> str:
    told: list[dict[str, Any]] = [
        {
            "id": each.id, "severity": each.severity, "text": each.text, "link": each.link,
            "link_text": each.link_text, "dismissible": each.is_dismissible,
        }
        for each in banners
    ]  # fmt: skip
    return json.dumps({"type": "banners", "signed_in": signed_in, "banners": told})
