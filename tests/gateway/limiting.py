"""What tests of rate limits begin with: nothing counted, and most of the minute left."""

import time

import redis


def forget_counts(edge_url: str) -> None:
    """What any test of this worker has spent, and the bans that came of it: all of them call from one address."""
    with redis.Redis.from_url(edge_url) as edge:
        for key in edge.scan_iter("limits:*"):
            edge.delete(key)


def early_in_the_minute() -> None:
    if time.time() % 60 > 48:
        time.sleep(60 - time.time() % 60)
