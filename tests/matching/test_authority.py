"""The epoch in PostgreSQL: one winner, never back, and a clear word when PostgreSQL is away."""

import threading

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from apps.matching.authority import AuthorityAway, PostgresAuthority, Settled
from apps.matching.errors import TakeoverLost


def test_the_epoch_rises_above_what_both_sides_know(matching_tables: str) -> None:
    authority = PostgresAuthority(matching_tables, "spot")
    assert [authority.raise_epoch(above=above, holder="a") for above in (0, 0, 7, 3)] == [1, 2, 8, 9]
    other = PostgresAuthority(matching_tables, "other")
    assert other.raise_epoch(above=0, holder="b") == 1
    with psycopg.connect(matching_tables) as connection:
        rows = connection.execute("SELECT shard, epoch, holder FROM matching_engineepoch ORDER BY shard").fetchall()
    assert rows == [("other", 1, "b"), ("spot", 9, "a")]


def test_of_many_at_once_each_gets_an_epoch_of_its_own_or_loses(
    matching_tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None is away because a busy machine makes a dozen connections slowly.
    monkeypatch.setattr("apps.matching.authority.POSTGRES_CONNECT_TIMEOUT_S", 60)
    won: list[int] = []
    lost: list[TakeoverLost] = []
    gate = threading.Barrier(12)

    def take() -> None:
        authority = PostgresAuthority(matching_tables, "spot")
        gate.wait()
        try:
            won.append(authority.raise_epoch(above=0, holder="x"))
        except TakeoverLost as error:
            lost.append(error)

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) + len(lost) == 12
    assert sorted(won) == list(range(1, len(won) + 1))


def test_the_record_is_the_settlements_watermark(matching_tables: str) -> None:
    authority = PostgresAuthority(matching_tables, "spot")
    assert authority.settled() == Settled(0, "")
    with psycopg.connect(matching_tables, autocommit=True) as connection:
        for reader, seq in (("settlement", 12), ("candles", 99)):
            connection.execute(
                "INSERT INTO matching_watermark (shard, reader, seq, chain) VALUES ('spot', %s, %s, 'ab')",
                [reader, seq],
            )
    assert authority.settled() == Settled(12, "ab")
    assert PostgresAuthority(matching_tables, "other").settled() == Settled(0, "")


def test_away(matching_tables: str) -> None:
    gone = PostgresAuthority(make_conninfo(matching_tables, dbname="nobody_made_this"), "spot")
    with pytest.raises(AuthorityAway):
        gone.settled()
    with pytest.raises(AuthorityAway):
        gone.raise_epoch(above=0, holder="a")
