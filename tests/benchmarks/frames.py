"""A workload as command frames: set-up, commands, and the trades that the book-only oracle expects.

Generating a million commands takes about 10 s, so they are kept in build/benchmarks, named by everything that
decides them.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from apps.streams.codec import encode_command, encode_set_asset, encode_set_market, stamp
from apps.streams.commands import Credit, SetAccount, SetMarketState
from apps.streams.kinds import (
    BreakerMeasure,
    CommandKind,
    Counterparty,
    MarketState,
    OrderKind,
    Side,
    Source,
    StpMode,
    TimeInForce,
)
from apps.streams.messages import AssetSettings, BreakerRule, MarketSettings
from apps.streams.records import COMMAND_VERSION, COMMANDS, FRAME_SIZE
from tests.benchmarks import book_oracle, followed, workload
from tests.benchmarks.book_oracle import BookOracle
from tests.benchmarks.workload import ACCOUNTS, CANCEL, FIRST_ACCOUNT, LIMIT, SHAPES, Step, steps

BASE, QUOTE, MARKET = 1, 2, 1
FUNDS_UNITS = 10**15
FIRST_MS = 1_800_000_000_000
AN_ENTRY = 200  # commands of one stream entry
SEED = 20_261

SETTINGS = MarketSettings(
    market_id=MARKET,
    symbol="BENCH",
    base_asset_id=BASE,
    quote_asset_id=QUOTE,
    settings_version=1,
    tick_size=1_000_000,
    lot_size=1_000,
    initial_price_ticks=workload.START_TICKS,
    min_price_ticks=1,
    max_price_ticks=10_000_000,
    min_lots=1,
    max_lots=10**9,
    market_max_lots=10**9,
    min_notional_units=1,
    max_notional_units=10**15,
    bid_down_bp=1_000,
    bid_up_bp=100_000,
    ask_down_bp=1_000,
    ask_up_bp=100_000,
    max_open_orders=100_000,
    fees=[(200, 1_000), (-100, 900)],
    breaker_rules=[
        BreakerRule(1, BreakerMeasure.PRICE, 500, 60_000),
        BreakerRule(2, BreakerMeasure.PRICE, 1_000, 300_000),
    ],
)

_TRADE = struct.Struct("<QQqq")
_place = COMMANDS[CommandKind.PLACE_ORDER].struct.pack
_cancel = COMMANDS[CommandKind.CANCEL_ORDER].struct.pack


@dataclass(frozen=True, slots=True)
class Frames:
    """`setup` and `commands` are stamped frame runs; trades are (taker, maker, price_ticks, lots), none where no oracle
    followed.
    """

    name: str
    count: int
    setup: bytes
    commands: bytes
    trades: list[tuple[int, int, int, int]]

    def run(self, first: int, count: int) -> bytes:
        """`count` commands from the one numbered `first` on, 0 the first."""
        return self.commands[first * FRAME_SIZE : (first + count) * FRAME_SIZE]


def frames(name: str, count: int, seed: int = SEED, cache: Path | None = Path("build/benchmarks")) -> Frames:
    """The workload `name` of `count` commands; from the cache directory where one is given."""
    if name in followed.CHANGES:
        return Frames(name, count, setup_frames(), _followed(name, count, seed, cache), [])
    if cache is None:
        oracle = BookOracle()
        commands = _pack(steps(SHAPES[name], count, seed, oracle))
        return Frames(name, count, setup_frames(), commands, oracle.trades)
    kept = cache / f"{name}-{count}-{seed}-{_fingerprint()}.bin"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        oracle = BookOracle()
        packed = b"".join(_step_bytes(step) for step in steps(SHAPES[name], count, seed, oracle))
        half = kept.with_suffix(".part")
        half.write_bytes(packed + b"".join(_TRADE.pack(*trade) for trade in oracle.trades))
        half.rename(kept)
    content = kept.read_bytes()
    end = count * Step.LAYOUT.size
    commands = _pack(
        Step(kind, bool(buy), account, price, lots, order_id)
        for kind, buy, account, price, lots, order_id in Step.LAYOUT.iter_unpack(content[:end])
    )
    return Frames(name, count, setup_frames(), commands, list(_TRADE.iter_unpack(content[end:])))  # type: ignore[arg-type]


def _followed(name: str, count: int, seed: int, cache: Path | None) -> bytes:
    kept = cache / f"{name}-{count}-{seed}-{_fingerprint()}.frames" if cache is not None else None
    if kept is None:
        return followed.commands(name, count, seed, setup_frames())
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".part")
        half.write_bytes(followed.commands(name, count, seed, setup_frames()))
        half.rename(kept)
    return kept.read_bytes()


def _step_bytes(step: Step) -> bytes:
    return Step.LAYOUT.pack(step.kind, step.buy, step.account_id, step.price_ticks, step.lots, step.order_id)


def _fingerprint() -> str:
    """Of the code that decides the commands, so that a changed generator makes a new file."""
    texts = [Path(module.__file__ or "").read_bytes() for module in (workload, book_oracle, followed)]
    return blake2b(b"".join(texts), digest_size=6).hexdigest()


def _pack(commands: Iterable[Step]) -> bytes:
    """One stamped frame a step, AN_ENTRY to a stream entry; every order carries a client id."""
    packed = []
    for turn, step in enumerate(commands):
        entry, index = divmod(turn, AN_ENTRY)
        head = (MARKET, step.account_id, FIRST_MS + entry * 5, 0, index)
        if step.kind == CANCEL:
            packed.append(_cancel(COMMAND_VERSION, CommandKind.CANCEL_ORDER, 1, 0, *head, step.order_id, b"", b""))
            continue
        limit = step.kind == LIMIT
        packed.append(
            _place(
                COMMAND_VERSION, CommandKind.PLACE_ORDER, 1, 0, *head, step.price_ticks, step.lots, 0, 0, 0, 0, 1, 0,
                Side.BUY if step.buy else Side.SELL, OrderKind.LIMIT if limit else OrderKind.MARKET,
                TimeInForce.GTC if limit else TimeInForce.NONE, StpMode.EXPIRE_TAKER, b"bench-%x" % step.order_id,
            )
        )  # fmt: skip
    return b"".join(packed)


def setup_frames() -> bytes:
    """Assets, market, accounts in two fee tiers, money for all, market open; one entry, before the commands."""
    relay_seq = 0

    def number() -> dict[str, int]:
        nonlocal relay_seq
        relay_seq += 1
        return {"relay_seq": relay_seq, "source": Source.OUTBOX}

    runs = [
        encode_set_asset(AssetSettings(asset_id=BASE, code="BASE"), **number()),
        encode_set_asset(AssetSettings(asset_id=QUOTE, code="QUOTE"), **number()),
        encode_set_market(SETTINGS, **number()),
        encode_command(SetMarketState(market_id=MARKET, state=MarketState.OPEN, cause=0, **number())),
    ]
    for account_id in range(FIRST_ACCOUNT, FIRST_ACCOUNT + 2 * ACCOUNTS):
        tier = account_id // 2 % len(SETTINGS.fees)
        runs.append(encode_command(SetAccount(account_id=account_id, fee_tier=tier, **number())))
        asset_id = QUOTE if account_id % 2 == 0 else BASE
        runs.append(
            encode_command(
                Credit(
                    account_id=account_id,
                    asset_id=asset_id,
                    amount_units=FUNDS_UNITS,
                    counter=Counterparty.EXTERNAL,
                    key=f"bench:{account_id}",
                    **number(),
                )
            )
        )
    stamped = bytearray(b"".join(runs))
    stamp(stamped, FIRST_MS - 1, 0)
    return bytes(stamped)
