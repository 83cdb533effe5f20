"""A tape whose relayed commands stand in the outbox, and its settlement into PostgreSQL."""

from typing import Any

import psycopg
from django.db import transaction

from apps.ledger.services import credit, debit
from apps.orders.settlement.entries import Position, take
from apps.orders.settlement.transaction import load_markets, read_position, settle
from apps.outbox.models import OutboxRow
from apps.outbox.relay import Relay
from apps.outbox.services import enqueue, enqueue_settings
from apps.streams.commands import SetMarketState
from apps.streams.kinds import CommandKind, MarketState
from apps.streams.messages import MarketSettings
from apps.streams.records import COMMANDS
from tests.orders.tape import BTC, MARKET, USDT, Tape

SHARD = "spot"
ALICE, BOB, CAROL = 1001, 1002, 1003
COIN = 10**8


class NoCommands:
    """The tape says itself what the engine did; nothing needs to be sent."""

    def append_commands(self, frames: bytes) -> object:
        return len(frames)

    def close(self) -> None:
        """Nothing is open."""


class Recorded:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.tape = Tape()
        self._relay = Relay(connection, NoCommands(), SHARD)
        read_position(connection, SHARD)
        with transaction.atomic():
            settings = enqueue_settings(key="market:1:settings:1", settings=self.tape.settings)
            state = SetMarketState(relay_seq=0, source=0, market_id=MARKET, state=MarketState.OPEN, cause=0)
            opened = enqueue(key="market:1:open", command=state)
        self.tape.apply_settings(self.relay_seq(settings))
        self.tape.open_market(self.relay_seq(opened))
        self.tape.cut()

    def relay_seq(self, row: OutboxRow) -> int:
        """The number of a fresh row."""
        self._relay.number()
        row.refresh_from_db()
        assert row.relay_seq is not None
        return row.relay_seq

    def change_settings(self, settings: MarketSettings) -> None:
        with transaction.atomic():
            row = enqueue_settings(key=f"market:1:settings:{settings.settings_version}", settings=settings)
        self.tape.apply_settings(self.relay_seq(row), settings)

    def fund(self, account: int, *, btc: int = 0, usdt: int = 0) -> None:
        """Credits in whole coins."""
        for asset, coins in ((BTC, btc), (USDT, usdt)):
            if coins:
                key = f"fund:{account}:{asset}:{self.tape.seq}"
                row = credit(account_id=account, asset_id=asset, amount_units=coins * COIN, key=key)
                self.tape.money(CommandKind.CREDIT, account, asset, coins * COIN, self.relay_seq(row), key)

    def withdraw(self, account: int, asset: int, units: int) -> None:
        key = f"take:{account}:{asset}:{self.tape.seq}"
        row = debit(account_id=account, asset_id=asset, amount_units=units, key=key)
        self.tape.money(CommandKind.DEBIT, account, asset, units, self.relay_seq(row), key)

    def money_row(self, key: str, kind: CommandKind = CommandKind.DEBIT) -> int:
        """Number of a further money command in the outbox; what the engine made of it is for the tape to say."""
        record = COMMANDS[kind].record
        with transaction.atomic():
            command = record(relay_seq=0, source=0, account_id=ALICE, asset_id=USDT, amount_units=1, key=key)
            row = enqueue(key=key, command=command)
        return self.relay_seq(row)

    def settle(self, *, events_max: int = 20_000) -> Position:
        """Everything on the tape, from wherever PostgreSQL stands."""
        position = read_position(self.connection, SHARD)
        markets = load_markets(self.connection, SHARD)
        left = [entry for entry in self.tape.cut() if entry.first_seq > position.seq]
        while left:
            batch, taken = take(left, position, events_max=events_max)
            position = settle(self.connection, SHARD, batch, markets)
            left = left[taken:]
        return position
