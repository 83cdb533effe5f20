"""A shard at work inside the test process: worker, relay and settlement as threads, on a bus of the test's choice."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.common.clock import now_ms
from apps.ledger.services import credit
from apps.matching.authority import PostgresAuthority
from apps.matching.engine import Engine
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.orders.settlement.process import SettlementProcess
from apps.outbox.process import RelayProcess
from apps.outbox.services import enqueue, enqueue_settings
from apps.streams.bus.base import Bus
from apps.streams.codec import encode_block, encode_command, encode_list
from apps.streams.commands import (
    AmendOrder,
    CancelOrder,
    PlaceBlock,
    PlaceList,
    PlaceOrder,
    SetAccount,
    SetMarketState,
    Strategy,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationMethod,
    ListKind,
    MarketState,
    OrderKind,
    Side,
    StpMode,
    TimeInForce,
)
from apps.streams.messages import AllocationSettings, AssetSettings
from tests.orders.tape import BTC, MARKET, USDT, market_settings

SHARD = "spot"
COIN = 10**8
ACCOUNTS = range(1001, 1009)
OWNER, SUB_ACCOUNTS, RULE = 1001, (1002, 1003), 1  # of block orders


def until(condition: Callable[[], bool], what: str, *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.005)


def enqueue_set_up(fees: list[tuple[int, int]]) -> None:
    """Outbox rows for two assets, an open market, accounts in two tiers and money for each of them."""
    with transaction.atomic():
        for asset, code in ((BTC, "BTC"), (USDT, "USDT")):
            enqueue_settings(key=f"asset:{asset}:settings:1", settings=AssetSettings(asset_id=asset, code=code))
        rules = market_settings(fees=fees, bid_up_bp=12_000, park_outside_band=True)
        enqueue_settings(key="market:1", settings=rules)
        state = SetMarketState(relay_seq=0, source=0, market_id=MARKET, state=MarketState.OPEN, cause=0)
        enqueue(key="market:1:open", command=state)
        for account in ACCOUNTS:
            family_id = OWNER if account in SUB_ACCOUNTS else 0
            tier = SetAccount(
                relay_seq=0, source=0, account_id=account, family_id=family_id, fee_tier=account % len(fees)
            )  # fmt: skip
            enqueue(key=f"account:{account}", command=tier)
            credit(account_id=account, asset_id=BTC, amount_units=100 * COIN, key=f"btc:{account}")
            credit(account_id=account, asset_id=USDT, amount_units=5_000_000 * COIN, key=f"usdt:{account}")
        rule = AllocationSettings(
            account_id=OWNER, rule_id=RULE, method=AllocationMethod.PRO_RATA, accounts=[OWNER, *SUB_ACCOUNTS]
        )  # fmt: skip
        enqueue_settings(key=f"allocation:{OWNER}:{RULE}", settings=rule)


class Traffic:
    """Random orders of all kinds around 50,000 and cancels, from a printed seed; client ids are never used twice."""

    def __init__(self, seed: int) -> None:
        print(f"traffic seed {seed}")
        self._random = Random(seed)
        self._placed: list[tuple[int, str]] = []

    def frames(self, count: int) -> bytes:
        return b"".join(self._one() for _ in range(count))

    def _one(self) -> bytes:
        random = self._random
        if self._placed and random.random() < 0.3:
            account, client_id = random.choice(self._placed)
            return encode_command(CancelOrder(market_id=MARKET, account_id=account, client_id=client_id))
        if self._placed and random.random() < 0.06:
            account, client_id = random.choice(self._placed)
            quantity_lots = random.randint(1, 900)
            return encode_command(AmendOrder(account_id=account, client_id=client_id, quantity_lots=quantity_lots))
        account, client_id = random.choice(ACCOUNTS), f"t{len(self._placed)}" + "x" * random.choice((0, 5, 25))
        self._placed.append((account, client_id))
        values: dict[str, Any] = {
            "market_id": MARKET, "account_id": account, "side": random.choice(list(Side)), "client_id": client_id,
            "settings_version": 1,
        }  # fmt: skip
        if random.random() < 0.06:
            values["order_kind"] = random.choice((OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT))
            values["stop_price_ticks"] = 5_000_000 + random.randint(-40, 40) * 100
            return encode_command(PlaceOrder(quantity_lots=random.randint(1, 900), **values))
        if random.random() < 0.15:
            amount = (
                {"budget_units": 500 * COIN} if random.random() < 0.5 else {"quantity_lots": random.randint(1, 900)}
            )
            return encode_command(PlaceOrder(order_kind=OrderKind.MARKET, **amount, **values))
        unusual = [each for each in TimeInForce if each is not TimeInForce.NONE]
        time_in_force = random.choice(unusual) if random.random() < 0.35 else TimeInForce.GTC
        quantity_lots = random.randint(1, 900)
        values["stp_mode"] = random.choice(tuple(StpMode)) if random.random() < 0.3 else StpMode.EXPIRE_TAKER
        if time_in_force == TimeInForce.GTD:
            values["expires_ms"] = now_ms() + 10**8  # later than the test: nothing changes by itself meanwhile
        if time_in_force in (TimeInForce.GTC, TimeInForce.GTD) and random.random() < 0.2:
            values["display_lots"] = -(-quantity_lots // random.randint(1, 9))
        price_ticks = 5_000_000 + random.randint(-40, 40) * 100
        if values["side"] == Side.BUY and random.random() < 0.05:
            price_ticks *= 2  # outside the band
        kind = OrderKind.LIMIT
        if random.random() < 0.15:
            kind = random.choice((OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT))
            values["stop_price_ticks"] = 5_000_000 + random.randint(-40, 40) * 100
            values["trailing_bips"] = random.choice((0, 0, 10, 20))
        if random.random() < 0.2:
            given = random.choice((AcceptedFlag.STRATEGY_ID, AcceptedFlag.STRATEGY_TYPE))
            values["strategy"] = Strategy(
                strategy_id=7 * (given == AcceptedFlag.STRATEGY_ID),
                strategy_type=1_000_007 * (given == AcceptedFlag.STRATEGY_TYPE), given=given,
            )  # fmt: skip
        order = PlaceOrder(
            order_kind=kind, time_in_force=time_in_force, quantity_lots=quantity_lots, price_ticks=price_ticks, **values
        )  # fmt: skip
        if random.random() < 0.15:
            return self._list(account, quantity_lots)
        if account != OWNER or order.display_lots or kind is not OrderKind.LIMIT:
            return encode_command(order)
        requested = [random.randint(0, 9) for _ in (OWNER, *SUB_ACCOUNTS)]
        return encode_block(PlaceBlock(market_id=MARKET, account_id=OWNER, rule_id=RULE), order, requested)

    def _list(self, account: int, lots: int) -> bytes:
        """An OCO around 50,000, by itself or behind a working order there."""
        random, number = self._random, len(self._placed)
        self._placed += [(account, f"t{number}{leg}") for leg in "wab"]
        common: dict[str, Any] = {"market_id": MARKET, "account_id": account, "settings_version": 1}
        common |= {"quantity_lots": lots, "time_in_force": TimeInForce.GTC}
        far = random.randint(1, 40) * 100
        working = PlaceOrder(
            order_kind=OrderKind.LIMIT, side=Side.BUY, price_ticks=5_000_000 + random.randint(-20, 20) * 100,
            client_id=f"t{number}w", **common,
        )  # fmt: skip
        above = PlaceOrder(
            order_kind=OrderKind.LIMIT_MAKER, side=Side.SELL, price_ticks=5_000_000 + far, client_id=f"t{number}a",
            **common,
        )  # fmt: skip
        below = PlaceOrder(
            order_kind=OrderKind.STOP_LOSS_LIMIT, side=Side.SELL, price_ticks=4_990_000 - far,
            stop_price_ticks=5_000_000 - far, client_id=f"t{number}b", **common,
        )  # fmt: skip
        kind = random.choice(tuple(ListKind))
        orders = {ListKind.OCO: [above, below], ListKind.OTO: [working, above], ListKind.OTOCO: [working, above, below]}
        head = PlaceList(market_id=MARKET, account_id=account, list_kind=kind, list_client_id=f"l{number}")
        return encode_list(head, orders[kind])


class LiveShard:
    """Use as a context; `bus` is the test's own handle. Without `settles` the events stay in the log."""

    def __init__(self, bus: Bus, directory: Path, *, settles: bool = True) -> None:
        self.bus = bus
        self.directory = directory
        self.worker = Worker(bus.another(), PostgresAuthority(settings.DATABASE_DSN, SHARD), Engine, directory)
        self._stop = threading.Event()
        self.relay = RelayProcess(shard=SHARD, open_bus=bus.another, stop=self._stop)
        self.settlement = SettlementProcess(shard=SHARD, open_bus=bus.another, stop=self._stop)
        self._failures: list[BaseException] = []
        runs = [self.worker.run, self.relay.run, *([self.settlement.run] if settles else [])]
        self._threads = [threading.Thread(target=self._guard, args=(run,)) for run in runs]

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  reported by the test's own thread
            self._failures.append(error)

    def __enter__(self) -> "LiveShard":
        for thread in self._threads:
            thread.start()
        until(lambda: self.worker.status.phase is Phase.ACTIVE or bool(self._failures), "worker active")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self.worker.stop()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not self._failures, self._failures

    def until_applied(self) -> None:
        """All commands appended so far are applied and their events durable."""
        last = self.bus.last_command()
        until(lambda: self.worker.status.position.last_cmd >= last, "commands applied")

    def until_settled(self) -> None:
        """And the events are settled."""
        self.until_applied()
        until(lambda: self.settlement.seq >= self.bus.head().seq or bool(self._failures), "events settled")
