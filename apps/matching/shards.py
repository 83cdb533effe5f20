"""The engine of a shard: the same rules, with order ids from the shard's own range (apps/streams/shards.py)."""

from typing import cast

from apps.matching.core import CoreClass
from apps.matching.engine import Engine
from apps.streams.shards import order_ids_after


def engine_of(shard: str) -> type[Engine]:
    """The plain engine of a shard; see numbered()."""
    return cast(type[Engine], numbered(Engine, shard))


def numbered(engine_class: CoreClass, shard: str) -> CoreClass:
    """An engine class whose empty state numbers orders after the shard's base; snapshots carry the number on.

    KeyError for a shard that has no number.
    """
    after = order_ids_after(shard)
    if not after:
        return engine_class

    class ShardEngine(engine_class):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__(last_order_id=after)

    return cast(CoreClass, ShardEngine)
