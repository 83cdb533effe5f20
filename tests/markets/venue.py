"""An exchange in one test: the real engine behind the real bus, without the matching process around it."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from apps.common import hashchain
from apps.matching import snapshots
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.orders.models import Trade
from apps.streams.bus.base import START, Bus, EntryId
from apps.streams.codec import decode_events, encode_command, encode_set_asset, encode_set_market, stamp
from apps.streams.commands import CancelOrder, Command, Credit, PlaceOrder, SetAccount, SetMarketState
from apps.streams.kinds import EventKind, HaltCause, MarketState, OrderKind, Side, Source, TimeInForce, TradeFlag
from apps.streams.messages import AssetSettings, MarketSettings

ACCOUNTS = (1001, 1002, 1003, 1004)
MARKET_IDS = (1, 2)
UNIT_FACTOR = 10


def settings_of(market_id: int) -> MarketSettings:
    return MarketSettings(
        market_id=market_id, symbol=f"M{market_id}", base_asset_id=market_id, quote_asset_id=9, settings_version=1,
        tick_size=1_000_000, lot_size=1_000, initial_price_ticks=1_000, min_price_ticks=1, max_price_ticks=10**9,
        min_lots=1, max_lots=10**9, market_max_lots=10**9, min_notional_units=1, max_notional_units=0, bid_down_bp=0,
        bid_up_bp=0, ask_down_bp=0, ask_up_bp=0, max_open_orders=0, fees=[(1_000, 1_000)],
    )  # fmt: skip


@dataclass
class Venue:
    """`do` is one batch: commands in, events out and durable. `events` is everything that ever happened."""

    bus: Bus
    snapshot_dir: Path
    engine: Engine = field(default_factory=Engine)
    events: list[Any] = field(default_factory=list)
    chain: str = hashchain.GENESIS
    last_cmd: EntryId = START
    relay_seq: int = 0

    def __post_init__(self) -> None:
        assert self.bus.raise_epoch(1)

    def do(self, *frames: bytes) -> list[Any]:
        entry_id = self.bus.append_commands(b"".join(frames))
        stamped = bytearray(b"".join(frames))
        stamp(stamped, entry_id.ms, entry_id.n)
        first_seq = self.engine.seq + 1
        body = self.engine.process(bytes(stamped))
        self.last_cmd = entry_id
        if not body:
            return []
        chain = hashchain.extend(self.chain, first_seq, self.engine.seq, body)
        self.bus.append_events(
            epoch=1, first_seq=first_seq, last_seq=self.engine.seq, prev_chain=self.chain, chain=chain,
            last_cmd=entry_id, body=body, rules_version=RULES_VERSION,
        )  # fmt: skip
        self.chain = chain
        events = decode_events(body)
        self.events += events
        return events

    def open(self) -> None:
        """Two markets, and four accounts that can never run out."""
        frames = [encode_set_asset(AssetSettings(id_, f"A{id_}"), **self._relay()) for id_ in (*MARKET_IDS, 9)]
        frames += [encode_set_market(settings_of(id_), **self._relay()) for id_ in MARKET_IDS]
        frames += [encode_command(SetAccount(account_id=account, **self._relay())) for account in ACCOUNTS]
        for account in ACCOUNTS:
            for asset in (*MARKET_IDS, 9):
                frames.append(
                    encode_command(
                        Credit(account_id=account, asset_id=asset, amount_units=10**15, counter=1, **self._relay())
                    )
                )
        self.do(*frames)
        for market_id in MARKET_IDS:
            self.set_state(market_id, MarketState.OPEN)

    def list_market(self, market_id: int) -> None:
        """One more market, in state PRE_LAUNCH, and money to trade there."""
        frames = [encode_set_asset(AssetSettings(market_id, f"A{market_id}"), **self._relay())]
        frames.append(encode_set_market(settings_of(market_id), **self._relay()))
        frames += [
            encode_command(
                Credit(account_id=account, asset_id=market_id, amount_units=10**15, counter=1, **self._relay())
            )
            for account in ACCOUNTS
        ]
        self.do(*frames)

    def set_state(self, market_id: int, state: MarketState) -> list[Any]:
        return self.do(
            encode_command(SetMarketState(market_id=market_id, state=state, cause=HaltCause.STAFF, **self._relay()))
        )

    def limit(self, side: Side, price: int, lots: int, *, account: int = 1001, market_id: int = 1) -> list[Any]:
        return self.do(encode_command(self._order(side, price, lots, account, market_id)))

    def random_batch(self, random: Random, commands: int = 8) -> list[Any]:
        """Limits around 1000, market orders and cancels of what rests."""
        return self.do(*[encode_command(self._random_command(random)) for _ in range(commands)])

    def prints(self, market_id: int | None = None) -> list[Any]:
        return [
            event for event in self.events
            if event.KIND == EventKind.TRADE and market_id in (None, event.market_id)
        ]  # fmt: skip

    def levels(self, market_id: int, side: Side) -> list[tuple[int, int]]:
        """The engine's book, best first."""
        return self.engine.depth(market_id, side, 10_000)

    def write_snapshot(self) -> None:
        snapshots.write(self.snapshot_dir, self.engine, Engine, Position(self.engine.seq, self.chain, self.last_cmd))

    def settle(self) -> None:
        """What settlement leaves in PostgreSQL that market data reads."""
        from django.db import connection

        known = set(Trade.objects.values_list("seq", flat=True))
        Trade.objects.bulk_create(
            Trade(
                id=event.seq, market_id=event.market_id, trade_id=event.trade_id, agg_id=event.agg_id,
                maker_order_id=event.maker_order_id, taker_order_id=event.taker_order_id,
                maker_account_id=event.maker_account_id, taker_account_id=event.account_id,
                price_ticks=event.price_ticks, quantity_lots=event.quantity_lots,
                quote_units=event.price_ticks * event.quantity_lots * UNIT_FACTOR,
                taker_is_buyer=bool(event.flags & TradeFlag.TAKER_IS_BUYER), taker_fee_units=event.taker_fee_units,
                maker_fee_units=event.maker_fee_units, time_ms=event.cmd_ms, seq=event.seq,
            )
            for event in self.prints() if event.seq not in known
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO matching_watermark (shard, reader, seq, chain, epoch) VALUES (%s, 'settlement', %s, '', 1)"
                " ON CONFLICT (shard, reader) DO UPDATE SET seq = EXCLUDED.seq",
                (self.bus.shard, self.engine.seq),
            )

    def _relay(self) -> dict[str, int]:
        self.relay_seq += 1
        return {"relay_seq": self.relay_seq, "source": Source.OUTBOX}

    def _order(self, side: Side, price: int, lots: int, account: int, market_id: int) -> PlaceOrder:
        return PlaceOrder(
            market_id=market_id, account_id=account, price_ticks=price, quantity_lots=lots, settings_version=1,
            side=side, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
        )  # fmt: skip

    def _random_command(self, random: Random) -> Command:
        market_id, account = random.choice(MARKET_IDS), random.choice(ACCOUNTS)
        side = random.choice(tuple(Side))
        draw = random.random()
        if draw < 0.35 and self.events:
            accepted = [event for event in self.events[-200:] if event.KIND == EventKind.ORDER_ACCEPTED]
            if accepted:
                order = random.choice(accepted)
                return CancelOrder(market_id=order.market_id, account_id=order.account_id, order_id=order.order_id)
        if draw < 0.45:
            return PlaceOrder(
                market_id=market_id, account_id=account, quantity_lots=random.randint(1, 30), settings_version=1,
                side=side, order_kind=OrderKind.MARKET,
            )  # fmt: skip
        return self._order(side, 1_000 + random.randint(-6, 6), random.randint(1, 20), account, market_id)
