"""Tick, lot and assets of each market as of each event.

They come from the settings command itself (its outbox row), at the event that applied it, and are kept with the
settled state: what staff edits meanwhile must not change what an older event meant.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg

from apps.ledger.columns import Terms, column
from apps.ledger.rules import MarketTerms
from apps.orders.errors import SettlementStopped
from apps.streams.codec import decode_settings
from apps.streams.events import SettingsApplied
from apps.streams.kinds import CommandKind
from apps.streams.messages import MarketSettings

_FIND_SETTINGS: Final = "SELECT frames FROM outbox_outboxrow WHERE shard = %s AND source = %s AND relay_seq = %s"
_SAVE: Final = """
INSERT INTO orders_marketunits
       (market_id, shard, base_asset_id, quote_asset_id, tick_size, lot_size, settings_version, seq)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (market_id) DO UPDATE SET
       base_asset_id = EXCLUDED.base_asset_id, quote_asset_id = EXCLUDED.quote_asset_id,
       tick_size = EXCLUDED.tick_size, lot_size = EXCLUDED.lot_size,
       settings_version = EXCLUDED.settings_version, seq = EXCLUDED.seq
"""
_LOAD: Final = """
SELECT market_id, base_asset_id, quote_asset_id, lot_size, tick_size, settings_version, seq
  FROM orders_marketunits WHERE shard = %s
"""
_FIELDS: Final = ("base_asset_id", "quote_asset_id", "lot_size", "unit_factor")


@dataclass(frozen=True, slots=True)
class Applied:
    """Settings of a market, valid for events after `seq`."""

    seq: int
    settings: MarketSettings

    @property
    def terms(self) -> MarketTerms:
        found = self.settings
        return MarketTerms(found.base_asset_id, found.quote_asset_id, found.lot_size, found.unit_factor)


def find_applied(cursor: psycopg.Cursor[Any], shard: str, events: list[SettingsApplied]) -> list[Applied]:
    """The market settings that these events applied, ascending by seq; SettlementStopped if a row is missing."""
    found = []
    for event in events:
        if event.op != CommandKind.SET_MARKET:
            continue
        row = cursor.execute(_FIND_SETTINGS, [shard, event.source, event.relay_seq]).fetchone()
        settings = decode_settings(row[0]) if row else None
        if not isinstance(settings, MarketSettings) or settings.market_id != event.object_id:
            raise SettlementStopped(
                f"event {event.seq} applied settings of market {event.object_id} from outbox row "
                f"{event.source}/{event.relay_seq}, which this database does not have. If it was restored from an older"
                " backup, run manage.py settle --from archive"
            )
        found.append(Applied(event.seq, settings))
    return found


def save(cursor: psycopg.Cursor[Any], shard: str, applied: list[Applied]) -> None:
    """Keep them for the next start; part of the settlement transaction."""
    for item in applied:
        found = item.settings
        cursor.execute(
            _SAVE,
            [
                found.market_id, shard, found.base_asset_id, found.quote_asset_id, found.tick_size, found.lot_size,
                found.settings_version, item.seq,
            ],
        )  # fmt: skip


class Markets:
    """Terms of every settled market. Changed only after the transaction that saved them has committed."""

    def __init__(self, terms: dict[int, MarketTerms]) -> None:
        self._terms = terms

    @classmethod
    def load(cls, cursor: psycopg.Cursor[Any], shard: str) -> "Markets":
        rows = cursor.execute(_LOAD, [shard]).fetchall()
        scale = 10**8
        return cls({row[0]: MarketTerms(row[1], row[2], row[3], row[3] * row[4] // scale) for row in rows})

    def commit(self, applied: list[Applied]) -> None:
        for item in applied:
            self._terms[item.settings.market_id] = item.terms

    def columns(self, market_id: npt.NDArray[Any], seq: npt.NDArray[Any], applied: list[Applied]) -> Terms:
        """Terms of each event, by market and seq; `applied` are the changes within the batch."""
        values = {name: np.zeros(len(market_id), dtype=np.int64) for name in _FIELDS}
        seqs = column(seq)
        for market in np.unique(market_id):
            mine = market_id == market
            changes = [(-1, self._terms[market])] if (market := int(market)) in self._terms else []
            changes += [(item.seq, item.terms) for item in applied if item.settings.market_id == market]
            if not changes or int(seqs[mine][0]) <= changes[0][0]:
                raise SettlementStopped(f"event {int(seqs[mine][0])} names market {market}, which has no settings yet")
            for since, terms in changes:
                chosen = mine & (seqs > since)
                for name in _FIELDS:
                    values[name][chosen] = getattr(terms, name)
        return Terms(**values)
