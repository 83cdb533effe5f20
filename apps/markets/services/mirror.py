"""What the engine did, written into the market's row: called by settlement inside its own transaction.

All take a DB-API cursor (Django's or psycopg's), so they are part of whatever transaction the caller has open.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

from apps.markets.models import MIRRORED_FIELDS
from apps.streams.events import MarketStateChanged
from apps.streams.messages import AssetSettings


class Cursor(Protocol):
    """The part of a DB-API cursor that is used here."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, query: Any, params: Any = None) -> object: ...


_LISTS: Final = frozenset({"fees", "breaker_rules"})


def _column(name: str) -> str:
    """A change that was asked for by an older release lacks newer settings: these stay as they are."""
    if name in _LISTS:
        return f"{name} = COALESCE(c.settings->'{name}', m.{name})"
    if name == "symbol":
        return "symbol = c.settings->>'symbol'"
    if name == "park_outside_band":
        return f"{name} = COALESCE((c.settings->>'{name}')::boolean, m.{name})"
    return f"{name} = COALESCE((c.settings->>'{name}')::bigint, m.{name})"


# Column names come from MarketSettings, never from outside.
MIRROR_SETTINGS: Final = (
    "UPDATE markets_market m SET "  # noqa: S608  # constants of ours
    + ", ".join(_column(name) for name in MIRRORED_FIELDS)
    + " FROM markets_marketsettingschange c"
    " WHERE c.market_id = m.id AND m.id = %s AND c.settings_version = %s AND m.settings_version <= c.settings_version"
)
APPLY_CHANGE: Final = (
    "UPDATE markets_marketsettingschange SET applied_at = now()"
    " WHERE market_id = %s AND settings_version = %s AND applied_at IS NULL"
)
MIRROR_CLASS: Final = "UPDATE markets_asset SET asset_class = %s WHERE id = %s AND asset_class <> %s"
MOVED: Final = """
UPDATE markets_classstatechange AS c SET moved = %s::jsonb
  FROM outbox_outboxrow AS o
 WHERE o.shard = %s AND o.source = %s AND o.relay_seq = %s AND c.outbox_key = o.key
"""
MIRROR_STATE: Final = (
    "UPDATE markets_market SET state = %s, state_cause = %s, state_until_ms = %s, state_reopens_ms = %s,"
    " state_rule_id = %s, state_seq = %s WHERE id = %s"
)


def mirror_settings(cursor: Cursor, *, market_id: int, settings_version: int) -> None:
    """SETTINGS_APPLIED of a market: its row takes the settings of that version."""
    cursor.execute(MIRROR_SETTINGS, (market_id, settings_version))
    cursor.execute(APPLY_CHANGE, (market_id, settings_version))


def mirror_state(cursor: Cursor, event: MarketStateChanged) -> None:
    """The row shows the state, its cause and end, and which event brought it."""
    cursor.execute(
        MIRROR_STATE,
        (
            event.new_state, event.cause, event.until_ms, event.reopens_ms, event.rule_id, event.seq,
            event.market_id,
        ),
    )  # fmt: skip


def mirror_asset(cursor: Cursor, *, settings: AssetSettings) -> None:
    """SETTINGS_APPLIED of an asset: its row takes the class."""
    cursor.execute(MIRROR_CLASS, (settings.asset_class, settings.asset_id, settings.asset_class))


def record_moved(cursor: Cursor, *, shard: str, source: int, relay_seq: int, market_ids: Sequence[int]) -> None:
    """SETTINGS_APPLIED of an asset class's state: which markets the engine moved."""
    cursor.execute(MOVED, (json.dumps(list(market_ids)), shard, source, relay_seq))
