"""Telling open pages over Channels that a user's notices have changed: a hint, never what they say (P4).

The site process that has the hint counts anew for its sockets of that user. A hint may be lost, as while redis-edge is
away: then the number of unread notices comes with the next page.
"""

import asyncio
from functools import partial
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

from apps.notifications.live.hub import GROUP
from apps.notifications.policy import LIVE_HINT_TIMEOUT_S

log = structlog.get_logger(__name__)


def hint_notices_changed(user_id: int) -> None:
    """After the caller's commit."""
    transaction.on_commit(partial(_send, user_id))


def _send(user_id: int) -> None:
    try:
        async_to_sync(_publish)({"type": "notices", "users": [user_id]})
    except (RedisError, OSError) as error:
        log.warning("open pages do not hear of a notice", user=user_id, error=repr(error))


async def _publish(message: dict[str, Any]) -> None:
    """Bounded: whoever tells a user something does not wait for a redis-edge that hangs. Raises TimeoutError."""
    async with asyncio.timeout(LIVE_HINT_TIMEOUT_S):
        await get_channel_layer().group_send(GROUP, message)
