"""Seeded random commands of every kind over two markets and a few accounts, good and bad ones mixed.

Small numbers on purpose: prices, quantities, ids and keys collide all the time.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from apps.streams.codec import encode_command, encode_set_asset, encode_set_market, stamp
from apps.streams.commands import (
    CancelAll,
    CancelOrder,
    Capture,
    Credit,
    Debit,
    Hold,
    PlaceOrder,
    Release,
    SetAccount,
    SetMarketState,
    Tick,
    Transfer,
)
from apps.streams.kinds import Counterparty, MarketState, OrderKind, Source, TimeInForce
from apps.streams.messages import AssetSettings, MarketSettings

ACCOUNTS = range(1, 9)
ASSETS = {1: "BTC", 2: "USDT", 3: "ETH"}
START_MS = 1_800_000_000_000
FEES = ([(0, 0)], [(1_000, 1_000)], [(-300, 1_000), (200, 750)], [(-900, 1_000), (7, 1_013)])


def market(market_id: int, base: int, quote: int, version: int = 1, **changes: Any) -> MarketSettings:
    values: dict[str, Any] = {
        "market_id": market_id,
        "symbol": f"M{market_id}",
        "base_asset_id": base,
        "quote_asset_id": quote,
        "settings_version": version,
        "tick_size": 10_000_000,
        "lot_size": 1_000_000,
        "initial_price_ticks": 100,
        "min_price_ticks": 2,
        "max_price_ticks": 10_000,
        "min_lots": 1,
        "max_lots": 1_000,
        "market_max_lots": 500,
        "min_notional_units": 0,
        "max_notional_units": 0,
        "bid_down_bp": 2_000,
        "bid_up_bp": 30_000,
        "ask_down_bp": 3_000,
        "ask_up_bp": 50_000,
        "max_open_orders": 12,
        "fees": FEES[2],
    }
    return MarketSettings(**values | changes)


class Commands:
    """One random history. `next()` gives the next command's frames, stamped, one stream entry each."""

    rules: Mapping[str, int] = {}  # further settings of both markets

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.relay_seq = 0
        self.now_ms = START_MS
        self.version = {1: 1, 2: 1}
        self.pending: list[tuple[int, int]] = []  # (market, commands until staff opens it again)
        self.setup = [
            *(encode_set_asset(AssetSettings(asset_id=a, code=code), **self.relay()) for a, code in ASSETS.items()),
            encode_set_market(market(1, 1, 2, **self.rules), **self.relay()),
            encode_set_market(market(2, 3, 1, **self.rules), **self.relay()),
            *(
                encode_command(SetMarketState(market_id=m, state=MarketState.OPEN, cause=0, **self.relay()))
                for m in (1, 2)
            ),
            *(encode_command(self.credit(account, 10**11)) for account in ACCOUNTS for _ in range(2)),
        ]

    def relay(self) -> dict[str, int]:
        self.relay_seq += 1
        return {"relay_seq": self.relay_seq, "source": Source.OUTBOX}

    def next(self) -> bytes:
        frames = self.setup.pop(0) if self.setup else self._choose()
        self.now_ms += self.random.choice((0, 0, 0, 1, 7, 100))
        stamped = bytearray(frames)
        stamp(stamped, self.now_ms, self.random.randrange(3))
        return bytes(stamped)

    def _choose(self) -> bytes:
        self.pending = [(market_id, wait - 1) for market_id, wait in self.pending]
        for position, (market_id, wait) in enumerate(self.pending):
            if wait <= 0:
                del self.pending[position]
                command = SetMarketState(market_id=market_id, state=MarketState.OPEN, cause=0, **self.relay())
                return encode_command(command)
        draw = self.random.random()
        if draw < 0.70:
            return encode_command(self._order())
        if draw < 0.84:
            return encode_command(self._cancel())
        if draw < 0.97:
            return encode_command(self._money())
        if draw < 0.985:
            return self._settings()
        return encode_command(Tick())

    def _order(self) -> PlaceOrder:
        random = self.random
        market_id = random.choice((1, 1, 1, 2))
        client_id = random.choice(("", f"c{random.randrange(40)}", f"u{random.randrange(10**9)}"))
        fields: dict[str, Any] = {
            "market_id": market_id,
            "account_id": random.choice(ACCOUNTS),
            "settings_version": self.version[market_id],
            "side": random.randrange(2),
            "client_id": client_id,
        }
        lots = random.choice((1, 2, 5, random.randrange(1, 60), random.randrange(1, 700)))
        if random.random() < 0.75:
            price = round(random.gauss(100, 5))
            fields |= {
                "order_kind": OrderKind.LIMIT,
                "time_in_force": TimeInForce.GTC,
                "price_ticks": max(1, price),
                "quantity_lots": lots,
            }
        elif random.random() < 0.5:
            fields |= {"order_kind": OrderKind.MARKET, "quantity_lots": lots}
        else:
            fields |= {"order_kind": OrderKind.MARKET, "budget_units": random.randrange(1, 10**9)}
        if random.random() < 0.03:
            fields[random.choice(sorted(fields))] = 0 if random.random() < 0.5 else 77
            fields["client_id"] = str(fields["client_id"])
        return PlaceOrder(**fields)

    def _cancel(self) -> CancelOrder | CancelAll:
        random = self.random
        account_id = random.choice(ACCOUNTS)
        if random.random() < 0.06:
            return CancelAll(account_id=account_id, market_id=random.choice((0, 0, 1, 2, 9)))
        if random.random() < 0.3:
            return CancelOrder(account_id=account_id, client_id=f"c{random.randrange(40)}")
        return CancelOrder(account_id=account_id, order_id=random.randrange(1, 400), market_id=random.choice((0, 1)))

    def credit(self, account_id: int, amount_units: int) -> Credit:
        return Credit(
            account_id=account_id,
            asset_id=self.random.choice(tuple(ASSETS)),
            amount_units=amount_units,
            counter=Counterparty.EXTERNAL,
            **self.relay(),
        )

    def _money(self) -> Any:
        random = self.random
        kind = random.choice((Credit, Credit, Debit, Hold, Hold, Release, Capture, Transfer))
        relay = self.relay()
        if random.random() < 0.03:  # an old one, sent again
            self.relay_seq -= 1
            relay = {"relay_seq": random.randrange(self.relay_seq + 1), "source": Source.OUTBOX}
        return kind(
            account_id=random.choice(ACCOUNTS),
            asset_id=random.choice((1, 2, 3)),
            amount_units=random.choice((1, random.randrange(10**10), random.randrange(10**11))),
            counter=random.choice((0, 1, 1, 1)),
            to_account_id=random.choice((0, *ACCOUNTS)) if kind in (Capture, Transfer) else 0,
            key=f"k{random.randrange(6)}" if kind is not Credit else "",
            **relay,
        )

    def _settings(self) -> bytes:
        random = self.random
        draw, market_id = random.random(), random.choice((1, 2))
        if draw < 0.4:
            account = random.choice(ACCOUNTS)
            family = random.choice((0, 0, 1))
            return encode_command(
                SetAccount(account_id=account, family_id=family, fee_tier=random.randrange(3), **self.relay())
            )
        if draw < 0.7:
            state = random.choice((3, 4, 5, 6, 7))
            self.pending.append((market_id, self.random.randrange(3, 40)))
            return encode_command(SetMarketState(market_id=market_id, state=state, cause=1, **self.relay()))
        settings = market(
            market_id,
            *((1, 2) if market_id == 1 else (3, 1)),
            version=self.version[market_id] + 1,
            fees=random.choice(FEES),
            max_open_orders=random.choice((3, 12, 0)),
            min_notional_units=random.choice((0, 10**7)),
            **self.rules,
        )
        if random.random() < 0.2:
            settings = msgspec.structs.replace(settings, tick_size=random.choice((10_000_000, 100_000_000)))
        else:
            self.version[market_id] += 1
        return encode_set_market(settings, **self.relay())
