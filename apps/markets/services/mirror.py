"""What the engine did, written into the market's row: called by settlement inside its own transaction.

Both take a DB-API cursor (Django's or psycopg's), so they are part of whatever transaction the caller has open.
"""

from typing import Any, Final, Protocol

from apps.markets.models import MIRRORED_FIELDS


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
    "UPDATE markets_market m SET "  # noqa: S608
    + ", ".join(_column(name) for name in MIRRORED_FIELDS)
    + " FROM markets_marketsettingschange c"
    " WHERE c.market_id = m.id AND m.id = %s AND c.settings_version = %s AND m.settings_version <= c.settings_version"
)
APPLY_CHANGE: Final = (
    "UPDATE markets_marketsettingschange SET applied_at = now()"
    " WHERE market_id = %s AND settings_version = %s AND applied_at IS NULL"
)
MIRROR_STATE: Final = "UPDATE markets_market SET state = %s, state_cause = %s, state_until_ms = %s WHERE id = %s"


def mirror_settings(cursor: Cursor, *, market_id: int, settings_version: int) -> None:
    """SETTINGS_APPLIED of a market: its row takes the settings of that version."""
    cursor.execute(MIRROR_SETTINGS, (market_id, settings_version))
    cursor.execute(APPLY_CHANGE, (market_id, settings_version))


def mirror_state(cursor: Cursor, *, market_id: int, state: int, cause: int, until_ms: int) -> None:
    """MARKET_STATE_CHANGED: the market's row shows the state, its cause and when a timer ends it (0: never)."""
    cursor.execute(MIRROR_STATE, (state, cause, until_ms, market_id))
