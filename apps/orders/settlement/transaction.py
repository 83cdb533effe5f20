"""One batch of events into PostgreSQL, in one transaction, exactly once (T13).

Order of work: watermark compare-and-set -> entries (COPY) -> balances -> house totals -> trades (COPY) -> orders,
parked orders, prevented matches and amendments ->
outbox rows and markets -> audit log -> commit. Whatever fails, nothing of the batch is there; whatever is there, the
watermark says.
"""

from typing import Any, Final

import psycopg

from apps.common.crashpoints import reach
from apps.ledger.record import write_balances, write_entries, write_house_totals
from apps.orders.errors import OtherSettlement
from apps.orders.settlement import (
    allocations,
    amendments,
    lists,
    orders,
    outcomes,
    parked,
    prevented,
    skipped,
    terms,
    trades,
)
from apps.orders.settlement.columns import Batch
from apps.orders.settlement.entries import Position
from apps.orders.settlement.money import money_of
from apps.orders.settlement.terms import Markets
from apps.streams.kinds import EventKind

READER: Final = "settlement"

_CREATE_WATERMARK: Final = """
INSERT INTO matching_watermark (shard, reader, seq, chain, epoch) VALUES (%s, %s, 0, '', 0) ON CONFLICT DO NOTHING
"""
_READ_WATERMARK: Final = "SELECT seq, chain, epoch FROM matching_watermark WHERE shard = %s AND reader = %s"
_MOVE_WATERMARK: Final = """
UPDATE matching_watermark SET seq = %s, chain = %s, epoch = %s
 WHERE shard = %s AND reader = %s AND seq = %s AND chain = %s AND epoch <= %s
"""


def read_position(connection: psycopg.Connection[Any], shard: str) -> Position:
    """Where PostgreSQL stands; the first call of a new database creates the watermark at 0."""
    with connection.transaction():
        connection.execute(_CREATE_WATERMARK, [shard, READER])
        row = connection.execute(_READ_WATERMARK, [shard, READER]).fetchone()
    assert row is not None
    return Position(*row)


def load_markets(connection: psycopg.Connection[Any], shard: str) -> Markets:
    with connection.transaction(), connection.cursor() as cursor:
        return Markets.load(cursor, shard)


def settle(connection: psycopg.Connection[Any], shard: str, batch: Batch, markets: Markets) -> Position:
    """Settle one batch; returns the new position. OtherSettlement when the watermark is not where the batch starts."""
    with connection.cursor() as cursor:
        # Outbox rows never change, so they may be read before the transaction; nothing is computed inside it.
        applied = terms.find_applied(cursor, shard, batch.records(EventKind.SETTINGS_APPLIED))
    money = money_of(batch, markets, applied)
    states = orders.net(batch, money.quote_units)
    with connection.transaction(), connection.cursor() as cursor:
        _move_watermark(cursor, shard, batch)
        write_entries(cursor, shard, money.entries)
        write_balances(cursor, shard, money.balances)
        write_house_totals(cursor, shard, money.entries)
        trades.write(cursor, shard, batch.of(EventKind.TRADE), money.quote_units)
        reach("settlement.copy.after")
        orders.write(cursor, batch, states)
        lists.write(cursor, batch)
        allocations.write(cursor, shard, batch, money.fill_terms)
        parked.write(cursor, batch.of(EventKind.ORDER_PARKED))
        prevented.write(cursor, shard, batch.of(EventKind.PREVENTED_MATCH))
        amendments.write(cursor, shard, batch.of(EventKind.ORDER_AMENDED))
        terms.save(cursor, shard, applied)
        outcomes.write(cursor, shard, batch)
        skipped.audit(cursor, shard, batch)
        reach("settlement.commit.before")
    reach("settlement.commit.after")
    markets.commit(applied)
    return Position(batch.to_seq, batch.chain, batch.epoch)


def _move_watermark(cursor: psycopg.Cursor[Any], shard: str, batch: Batch) -> None:
    cursor.execute(
        _MOVE_WATERMARK,
        [batch.to_seq, batch.chain, batch.epoch, shard, READER, batch.from_seq, batch.from_chain, batch.epoch],
    )
    if cursor.rowcount != 1:
        raise OtherSettlement(
            f"the watermark of {shard} is not at {batch.from_seq} with the chain this process settled: "
            "another settlement process is running, or the database was replaced"
        )
