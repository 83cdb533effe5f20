"""Settings bodies are parsed twice, by msgspec and in C: both take and refuse the same bytes."""

from random import Random
from typing import Any

import msgspec
import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.matching.native.engine import Engine as NativeEngine
from apps.streams.codec import encode_command, encode_set_asset, stamp
from apps.streams.commands import SetAsset, SetMarket
from apps.streams.kinds import EventKind, Source
from apps.streams.messages import AMOUNT_MAX, BODY_BYTES_MAX, AssetSettings, MarketSettings
from apps.streams.records import CONTROL_HEAD_SIZE, FRAME_SIZE
from tests.matching.engine.random_commands import START_MS, market

EDGES = (
    -(2**63), -1, 0, 1, 2, 9_999, 10_000, 10_001, 499_999, 500_000, 604_800, 604_801, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, AMOUNT_MAX, AMOUNT_MAX + 1, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip

TAGS = (0, 1, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC3, 0xCC, 0xCF, 0xD9, 0xDC, 0xFF)

LARGE = ("min_notional_units", "max_notional_units", "breaker_min_notional_units")


class Pair:
    """Both engines, with two assets."""

    def __init__(self) -> None:
        self.engines = (PlainEngine(5), NativeEngine(5))
        for asset_id, code in ((1, "BTC"), (2, "USDT")):
            self.send(encode_set_asset(AssetSettings(asset_id=asset_id, code=code), relay_seq=0, source=Source.DIRECT))

    def send(self, run: bytes) -> bytes:
        frames = bytearray(run)
        stamp(frames, START_MS, 0)
        plain, native = (engine.process(bytes(frames)) for engine in self.engines)
        assert plain == native
        return plain

    def body(self, record: type[SetAsset] | type[SetMarket], body: bytes, length: int | None = None) -> bytes:
        parts = -(-(CONTROL_HEAD_SIZE + len(body)) // FRAME_SIZE)
        head = record(
            parts=parts, market_id=1, relay_seq=0, source=0, body_length=len(body) if length is None else length
        )
        return self.send((encode_command(head)[:CONTROL_HEAD_SIZE] + body).ljust(parts * FRAME_SIZE, b"\0"))

    def same_state(self) -> None:
        plain, native = (engine.snapshot() for engine in self.engines)
        assert plain == native


def fields(version: int = 1) -> dict[str, Any]:
    return msgspec.structs.asdict(market(1, 1, 2, version))


def test_every_field_at_every_edge() -> None:
    pair, version = Pair(), 1
    names = [field.name for field in msgspec.structs.fields(MarketSettings)]
    for name in names:
        for value in (*EDGES, True, None, "x", 1.0, b"x", [], {}):
            version += 1
            pair.body(SetMarket, msgspec.msgpack.encode(fields(version) | {name: value}))
    pair.same_state()


def test_missing_unknown_repeated_and_reordered_fields() -> None:
    pair, version = Pair(), 1
    for name in fields():
        version += 1
        left = fields(version)
        del left[name]
        pair.body(SetMarket, msgspec.msgpack.encode(left))
        pair.body(SetMarket, msgspec.msgpack.encode(fields(version) | {name + "x": 1}))
        pair.body(SetMarket, msgspec.msgpack.encode(dict(reversed(fields(version).items()))))
        whole = bytearray(msgspec.msgpack.encode(fields(version)))
        whole[2] += 1  # map 16: one pair more, which is a repeated one
        pair.body(SetMarket, bytes(whole) + msgspec.msgpack.encode(name) + msgspec.msgpack.encode(fields()[name]))
    pair.same_state()


@pytest.mark.parametrize("rates", [
    [], [(0, 0)] * 16, [(0, 0)] * 17, [(0, 0, 0)], [(0,)], [0], [(-1, 1)], [(-900, 1_000)], [(-901, 1_000)],
    [(499_999, 499_999)], [(500_000, 0)], [(0, 500_000)], [(0, -1)], [(-(2**63), 1)], [(0, 2**63)], [(True, 1)],
])  # fmt: skip
def test_fees(rates: list[Any]) -> None:
    pair = Pair()
    pair.body(SetMarket, msgspec.msgpack.encode(fields() | {"fees": rates}))
    pair.same_state()


@pytest.mark.parametrize("code", ["", "A", "A" * 16, "A" * 17, "\x7f", "\x1f", " ", "é", "A\0B", "~"])
def test_names(code: str) -> None:
    pair = Pair()
    pair.body(SetAsset, msgspec.msgpack.encode({"asset_id": 7, "code": code}))
    pair.body(SetMarket, msgspec.msgpack.encode(fields() | {"symbol": code}))
    pair.same_state()


@pytest.mark.parametrize("seed", range(6))
def test_damaged_bodies(seed: int) -> None:
    print(f"seed {seed}")
    random, pair, version, taken = Random(seed), Pair(), 1, 0
    for _ in range(1_500):
        version += 1
        asset = random.random() < 0.3
        body = bytearray(
            msgspec.msgpack.encode({"asset_id": random.choice((1, 5)), "code": "AB"} if asset else fields(version))
        )
        for _ in range(random.choice((0, 1, 1, 2, 4))):
            place = random.randrange(len(body))
            match random.randrange(3):
                case 0:
                    body[place] = random.choice(TAGS)
                case 1:
                    del body[place : place + random.randrange(1, 4)]
                case 2:
                    body.insert(place, random.randrange(256))
        length = random.choice((None, None, None, random.randrange(1_100), len(body) - 1 if body else 0))
        events = pair.body(SetAsset if asset else SetMarket, bytes(body), length)
        taken += events[1] == 20
    pair.same_state()
    assert taken > 50


def test_a_body_that_is_too_long_in_full_is_refused_by_both() -> None:
    """Rules without their last number make a body that fits and settings that do not; each length around the edge. A
    default that the body says takes no room in them."""
    pair, version, refused, alike = Pair(), 0, 0, 0
    for length in range(1, 21):
        for rate in (-300, -40_000):
            values = fields() | {"symbol": "x" * length} | dict.fromkeys(LARGE, 2**61)
            values |= dict.fromkeys(("bid_up_bp", "ask_up_bp", "max_open_orders", "max_iceberg_orders"), 2**31 - 1)
            values |= {
                "max_conditional_orders": 2**31 - 1,
                "max_order_amends": 2**31 - 1,
                "conditional_buffer_bp": 9_999,
            }
            values |= {"fees": [(rate, 70_000)] * 16, "call_s": 119, "max_extensions": 100, "collar_bp": 2**31 - 1}
            values |= {"park_outside_band": True, "max_price_ticks": 2**62 - 1, "initial_price_ticks": 2**40}
            values["breaker_rules"] = [(60_000 + each, 1, 9_999, 86_400_000) for each in range(16)]
            del values["max_order_lists"]  # all of them are more than a body has room for
            answers = []
            for said in (True, False):
                version += 1
                values["settings_version"] = 1_000 + version
                if not said:
                    del values["park_expiry_s"]
                body = msgspec.msgpack.encode(values)
                if len(body) <= BODY_BYTES_MAX:
                    answers.append(EventKind(pair.body(SetMarket, body)[1]))
            assert len(set(answers)) == 1, (length, rate)
            refused += answers[-1] == EventKind.RELAY_REFUSED
            alike += len(answers) == 2
    assert 0 < refused < 40
    assert alike > 5
    pair.same_state()
