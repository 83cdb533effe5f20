"""Rows in the outbox: what may enter, what never changes, and that the relay is told."""

from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.outbox import session
from apps.outbox.errors import InvalidCommand, KeyReused
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.selectors import row_for_key, wait_done
from apps.outbox.services import enqueue, enqueue_settings
from apps.streams.codec import decode_settings
from apps.streams.commands import Credit, PlaceOrder, SetAsset, SetMarketState
from apps.streams.kinds import CommandKind, MarketState
from apps.streams.messages import AssetSettings
from tests.orders.tape import market_settings

STATE = SetMarketState(relay_seq=0, source=0, market_id=1, state=MarketState.OPEN, cause=0)


@pytest.mark.django_db
def test_settings_keep_their_body() -> None:
    market = enqueue_settings(key="market:1", settings=market_settings())
    asset = enqueue_settings(key="asset:1", settings=AssetSettings(asset_id=1, code="BTC"))
    assert (market.kind, asset.kind) == (CommandKind.SET_MARKET, CommandKind.SET_ASSET)
    assert decode_settings(bytes(OutboxRow.objects.get(pk=market.pk).frames)) == market_settings()
    assert enqueue_settings(key="market:1", settings=market_settings()).pk == market.pk
    with pytest.raises(KeyReused):
        enqueue_settings(key="market:1", settings=market_settings(lot_size=10_000))


@pytest.mark.django_db
def test_settings_no_engine_accepts_do_not_enter() -> None:
    with pytest.raises(InvalidCommand, match="lot_size"):
        enqueue_settings(key="market:1", settings=market_settings(lot_size=0))
    assert not OutboxRow.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command",
    [
        PlaceOrder(side=0, order_kind=1),
        SetAsset(relay_seq=0, source=0, body_length=3),
        Credit(relay_seq=0, source=0, asset_id=1, amount_units=2**70, key="k"),
        Credit(relay_seq=0, source=0, asset_id=1, amount_units=1, key="k" * 65),
    ],
)
def test_commands_that_cannot_be_relayed_do_not_enter(command: Any) -> None:
    with pytest.raises(InvalidCommand):
        enqueue(key="k", command=command)
    assert not OutboxRow.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_belongs_into_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError, match="business row"):
        enqueue(key="k", command=STATE)
    assert not OutboxRow.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_relay_is_told_after_the_commit() -> None:
    with session.connect() as listener:
        listener.execute("LISTEN outbox")
        with transaction.atomic():
            enqueue(key="k", command=STATE)
            assert list(listener.notifies(timeout=0.1)) == []
        assert len(list(listener.notifies(timeout=40, stop_after=1))) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE outbox_outboxrow SET frames = '\\x00'", "its content never changes"),
        ("UPDATE outbox_outboxrow SET key = 'other'", "its content never changes"),
        ("UPDATE outbox_outboxrow SET relay_seq = 8", "relay_seq is given once"),
        ("UPDATE outbox_outboxrow SET relay_seq = NULL", "relay_seq is given once"),
        ("UPDATE outbox_outboxrow SET state = 'done'", "outbox_settled_has_event"),
        ("DELETE FROM outbox_outboxrow", "outbox rows are kept"),
        ("TRUNCATE outbox_outboxrow", "outbox rows are kept"),
    ],
)
def test_rows_do_not_change(statement: str, message: str) -> None:
    row = enqueue(key="k", command=STATE)
    OutboxRow.objects.filter(pk=row.pk).update(relay_seq=7, numbered_at=timezone.now())
    before = list(OutboxRow.objects.values())
    with pytest.raises(DatabaseError, match=message), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert list(OutboxRow.objects.values()) == before


@pytest.mark.django_db
def test_an_outcome_is_final() -> None:
    row = enqueue(key="k", command=STATE)
    OutboxRow.objects.filter(pk=row.pk).update(relay_seq=7, state=OutboxState.DONE, event_seq=3)
    with pytest.raises(DatabaseError, match="already settled as done"), transaction.atomic():
        OutboxRow.objects.filter(pk=row.pk).update(state=OutboxState.REFUSED)
    assert wait_done(row, 0.0).state == OutboxState.DONE


@pytest.mark.django_db
def test_waiting_ends_with_the_time() -> None:
    row = enqueue(key="k", command=STATE)
    assert wait_done(row, 0.05).state == OutboxState.WAITING
    assert row_for_key("k") == row
    assert row_for_key("other") is None


@pytest.mark.django_db(transaction=True)
def test_equal_keys_at_once_make_one_row() -> None:
    """The second writer waits for the first transaction and then finds its row."""
    import threading

    results: list[object] = []

    def write() -> None:
        try:
            with transaction.atomic():
                results.append(enqueue(key="k", command=STATE).pk)
        except Exception as error:  # noqa: BLE001  the thread's outcome is asserted below
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [OutboxRow.objects.get().pk] * 8


def test_a_lost_server_is_an_operational_error(settings: Any) -> None:
    settings.DATABASE_DSN = "host=/nonexistent dbname=nothing"
    with pytest.raises(psycopg.OperationalError):
        session.connect()
