"""SET_ASSET, SET_MARKET, SET_ACCOUNT and SET_MARKET_STATE: what they change, when they are refused."""

from typing import Any

import msgspec
import pytest

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine import Engine
from apps.streams import messages
from apps.streams.codec import encode_command, encode_set_asset, encode_set_market
from apps.streams.commands import SetAccount, SetMarketState
from apps.streams.events import MarketStateChanged, RelayRefused, SettingsApplied
from apps.streams.kinds import (
    AccountFlag,
    BreakerMeasure,
    EventKind,
    HaltCause,
    MarketState,
    OrderKind,
    Reason,
    Side,
    TimeInForce,
)
from apps.streams.messages import AssetSettings, BreakerRule, SettingsError
from apps.streams.records import CONTROL_HEAD_SIZE, FRAME_SIZE
from tests.matching.engine.play import MARKET, SETTINGS, Table, play


def refused(table: Table, frames: bytes, reason: Reason) -> None:
    before = table.state_but_seq()
    (event,) = table.run(frames)
    assert isinstance(event, RelayRefused)
    assert event.reason == reason
    assert table.state_but_seq() == before
    table.engine.validate()


def market_frames(table: Table, **changes: Any) -> bytes:
    settings = msgspec.structs.replace(table.settings, **{"settings_version": 2} | changes)
    return encode_set_market(settings, **table.numbered())


def test_a_new_market_is_not_open_yet() -> None:
    table = Table()
    frames = market_frames(table, market_id=7, symbol="NEW")
    (event,) = table.run(frames)
    assert isinstance(event, SettingsApplied)
    assert (event.object_id, event.settings_version) == (7, 2)
    row = list(table.engine.markets())[1]
    assert (row.symbol, row.state) == ("NEW", MarketState.PRE_LAUNCH)


def test_newer_settings_count_from_the_next_order_on() -> None:
    play(
        """
        bid b1 alice 50000 0.1        -> rested
        set min_lots 20000            -> applied
        bid b2 alice 50000 0.1        -> rejected lot_size
        bid b3 alice 50000 0.2        -> rested
        """
    )


@pytest.mark.parametrize("version", [0, 1])
def test_settings_that_are_not_newer_are_refused(version: int) -> None:
    table = Table()
    reason = Reason.INVALID_SETTINGS if version == 0 else Reason.STALE_SETTINGS
    refused(table, market_frames(table, settings_version=version), reason)


def test_an_order_with_older_settings_is_refused_and_one_with_newer_passes() -> None:
    table = Table()
    table.play("set min_lots 2")
    order = {"side": 0, "order_kind": 1, "time_in_force": 1, "price_ticks": 5_000_000, "quantity_lots": 10}
    before = table.state_but_seq()
    (event,) = table.place("b1", "alice", settings_version=1, **order)[-1:]
    assert event.reason == Reason.STALE_SETTINGS
    assert table.place("b2", "alice", settings_version=3, **order)[0].reason == 0
    assert table.state_but_seq() != before


@pytest.mark.parametrize("change", [{"tick_size": 10_000_000}, {"lot_size": 10_000}])
def test_tick_and_lot_change_only_in_a_closed_and_empty_market(change: dict[str, int]) -> None:
    table = Table()
    table.play("ask a1 alice 50000 1\nbuy p1 bob market 0.5\nlast -> 50000")
    refused(table, market_frames(table, **change), Reason.MARKET_IN_USE)
    table.play("state HALTED")
    refused(table, market_frames(table, **change), Reason.MARKET_IN_USE)
    table.play("state CLOSED -> HALTED to CLOSED, canceled a1 by staff")
    (event,) = table.run(market_frames(table, **change))
    assert isinstance(event, SettingsApplied)
    table.play("last -> 0")


def test_tick_and_lot_may_change_before_the_launch() -> None:
    table = Table()
    table.run(market_frames(table, market_id=7, symbol="NEW"))
    (event,) = table.run(market_frames(table, market_id=7, symbol="NEW", settings_version=3, tick_size=10_000_000))
    assert isinstance(event, SettingsApplied)


def test_the_assets_of_a_market_are_known_and_never_change() -> None:
    table = Table()
    table.run(encode_set_asset(AssetSettings(asset_id=3, code="ETH"), **table.numbered()))
    refused(table, market_frames(table, base_asset_id=3), Reason.INVALID_SETTINGS)
    refused(table, market_frames(table, quote_asset_id=9), Reason.UNKNOWN_ASSET)
    refused(table, market_frames(table, market_id=7, base_asset_id=9), Reason.UNKNOWN_ASSET)


@pytest.mark.parametrize(
    "change",
    [
        {"tick_size": 0},
        {"tick_size": 1},
        {"tick_size": AMOUNT_MAX + 1},
        {"lot_size": -1},
        {"lot_size": 2**63},
        {"tick_size": 2**61, "lot_size": 2**61},
        {"initial_price_ticks": 0},
        {"initial_price_ticks": 10**9},
        {"min_price_ticks": 0},
        {"max_price_ticks": 2**62},
        {"min_lots": 0},
        {"max_lots": 2**62},
        {"market_max_lots": 0},
        {"min_notional_units": -1},
        {"max_notional_units": 2**62},
        {"bid_down_bp": 10_001},
        {"ask_up_bp": 9_999},
        {"ask_up_bp": 2**31},
        {"max_open_orders": -1},
        {"max_conditional_orders": -1},
        {"max_conditional_orders": 2**31},
        {"conditional_buffer_bp": -1},
        {"conditional_buffer_bp": 10_001},
        {"fees": []},
        {"fees": [(0, 0)] * 17},
        {"fees": [(500_000, 0)]},
        {"fees": [(-1, 0)]},
        {"symbol": ""},
        {"symbol": "A" * 21},
        {"symbol": "Ä"},
        {"symbol": "A\0B"},
        {"settings_version": 2**32},
        {"base_asset_id": 2},
        {"base_asset_id": 0},
        {"quote_asset_id": 2**31},
    ],
)
def test_settings_that_no_engine_can_run_are_refused(change: dict[str, Any]) -> None:
    table = Table()
    refused(table, market_frames(table, **change), Reason.INVALID_SETTINGS)


@pytest.mark.parametrize("market_id", [0, 2**31])
def test_market_ids_have_a_range(market_id: int) -> None:
    table = Table()
    refused(table, market_frames(table, market_id=market_id), Reason.INVALID_SETTINGS)


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"asset_id": 1}), b"\xff" * 60, b"\xa5\xff\xfe"]
)
def test_a_body_that_is_no_settings_is_refused(body: bytes) -> None:
    table = Table()
    for frames in (
        bytearray(encode_set_asset(AssetSettings(asset_id=3, code="ETH"), **table.numbered())),
        bytearray(encode_set_market(SETTINGS, **table.numbered())),
    ):
        frames[CONTROL_HEAD_SIZE - 2 : CONTROL_HEAD_SIZE] = len(body).to_bytes(2, "little")
        frames[CONTROL_HEAD_SIZE : CONTROL_HEAD_SIZE + len(body)] = body
        refused(table, bytes(frames), Reason.INVALID_SETTINGS)


def test_a_body_longer_than_its_run_is_refused() -> None:
    table = Table()
    frames = bytearray(encode_set_asset(AssetSettings(asset_id=3, code="ETH"), **table.numbered()))
    frames[CONTROL_HEAD_SIZE - 2 : CONTROL_HEAD_SIZE] = (0xFFFF).to_bytes(2, "little")
    refused(table, bytes(frames[:FRAME_SIZE]), Reason.INVALID_SETTINGS)


def test_a_settings_body_under_the_other_command_is_refused() -> None:
    table = Table()
    frames = bytearray(encode_set_asset(AssetSettings(asset_id=3, code="ETH"), **table.numbered()))
    frames[1] = 21  # SET_MARKET
    refused(table, bytes(frames), Reason.INVALID_SETTINGS)


def test_the_header_and_the_body_name_the_same_market() -> None:
    table = Table()
    frames = bytearray(encode_set_market(msgspec.structs.replace(SETTINGS, settings_version=2), **table.numbered()))
    frames[4] = 9
    refused(table, bytes(frames), Reason.INVALID_SETTINGS)


@pytest.mark.parametrize("code", ["", "A" * 17, "Ä", "A\0"])
def test_asset_codes_are_checked(code: str) -> None:
    table = Table()
    refused(table, encode_set_asset(AssetSettings(asset_id=3, code=code), **table.numbered()), Reason.INVALID_SETTINGS)


def test_an_asset_may_be_renamed() -> None:
    table = Table()
    table.run(encode_set_asset(AssetSettings(asset_id=1, code="XBT"), **table.numbered()))
    assert next(iter(table.engine.assets())).code == "XBT"


@pytest.mark.parametrize("change", [{"account_id": 0}, {"fee_tier": 16}, {"parts": 2}, {"flags": 2}])
def test_set_account_is_checked(change: dict[str, int]) -> None:
    table = Table()
    fields = {"account_id": 1001, "fee_tier": 0} | change
    command = SetAccount(**fields, **table.numbered())
    refused(table, encode_command(command).ljust(fields.get("parts", 1) * FRAME_SIZE, b"\0"), Reason.MALFORMED)


def test_set_account_makes_an_account_and_says_what_it_is_now() -> None:
    table = Table()
    (event,) = table.send(SetAccount(account_id=42, fee_tier=3, **table.numbered()))
    assert isinstance(event, SettingsApplied)
    assert (event.object_id, event.account_id, event.family_id, event.fee_tier) == (42, 42, 42, 3)
    assert table.engine.counters().accounts == 1


def state_command(table: Table, **changes: int) -> bytes:
    fields = {"market_id": MARKET, "state": MarketState.HALTED, "cause": HaltCause.STAFF} | changes
    return encode_command(SetMarketState(**fields, **table.numbered()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"market_id": 9}, Reason.UNKNOWN_MARKET),
        ({"state": 0}, Reason.MALFORMED),
        ({"state": 8}, Reason.MALFORMED),
        ({"cause": 9}, Reason.MALFORMED),
        ({"state": MarketState.PRE_LAUNCH}, Reason.INVALID_STATE),
        ({"state": MarketState.AUCTION}, Reason.INVALID_STATE),
    ],
)
def test_a_state_that_staff_may_not_set_is_refused(change: dict[str, int], reason: Reason) -> None:
    table = Table()
    refused(table, state_command(table, **change), reason)


def test_the_event_of_a_state_change() -> None:
    table = Table()
    (event,) = table.run(state_command(table))
    assert isinstance(event, MarketStateChanged)
    assert (event.old_state, event.new_state, event.cause, event.until_ms) == (
        MarketState.OPEN,
        MarketState.HALTED,
        HaltCause.STAFF,
        0,
    )
    assert event.relay_seq == table.relay_seq


def test_closing_cancels_every_order_of_that_market_only() -> None:
    table = Table()
    table.run(market_frames(table, market_id=7, symbol="OTHER"))
    table.run(state_command(table, market_id=7, state=MarketState.OPEN))
    table.play("bid b1 alice 50000 0.1\nask a1 bob 51000 0.1\nbid b2 alice 49000 0.1")
    table.place(
        "o",
        "alice",
        market_id=7,
        settings_version=2,
        side=0,
        order_kind=1,
        time_in_force=1,
        price_ticks=5,
        quantity_lots=10,
    )
    table.play(
        """
        state CLOSED  -> OPEN to CLOSED, canceled b1 by staff, canceled a1 by staff, canceled b2 by staff
        book                          -> empty
        balance bob BTC               -> 100 available, 0 held
        bid  b3 alice 50000 0.1       -> rejected market_closed
        state OPEN                    -> CLOSED to OPEN
        bid  b4 alice 50000 0.1       -> rested
        """
    )
    assert [row.market_id for row in table.engine.open_orders()] == [7, MARKET]


def test_a_tier_that_comes_alone_leaves_the_family_and_needs_no_account_without_orders() -> None:
    table = play("family alice head\nbid b1 alice 50000 0.1")
    alice, head = table.account("alice"), table.account("head")
    keep = AccountFlag.KEEP_FAMILY
    (event,) = table.send(SetAccount(flags=keep, account_id=alice, family_id=77, fee_tier=2, **table.numbered()))
    assert (event.KIND, event.family_id, event.fee_tier) == (EventKind.SETTINGS_APPLIED, head, 2)
    (event,) = table.send(SetAccount(flags=keep, account_id=42, family_id=77, fee_tier=1, **table.numbered()))
    assert (event.family_id, event.fee_tier) == (42, 1)
    table.engine.validate()


BREAKER = BreakerRule(1, BreakerMeasure.PRICE, 500, 60_000, 120)


def rule(**changes: int) -> BreakerRule:
    return msgspec.structs.replace(BREAKER, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"breaker_rules": [rule(rule_id=0)]},
        {"breaker_rules": [rule(rule_id=65_536)]},
        {"breaker_rules": [rule(measure=0)]},
        {"breaker_rules": [rule(measure=3)]},
        {"breaker_rules": [rule(bp=0)]},
        {"breaker_rules": [rule(bp=10_000)]},
        {"breaker_rules": [rule(window_ms=999)]},
        {"breaker_rules": [rule(window_ms=86_400_001)]},
        {"breaker_rules": [rule(halt_s=119)]},
        {"breaker_rules": [rule(halt_s=301)]},
        {"breaker_rules": [rule(), rule()]},
        {"breaker_rules": [rule(rule_id=2), rule()]},
        {"breaker_rules": [rule(rule_id=number) for number in range(1, 18)]},
        {"breaker_rules": [rule(measure=BreakerMeasure.VWAP)], "max_price_ticks": 2**44 + 1},
        {"breaker_rules": [rule(measure=BreakerMeasure.VWAP)], "max_lots": 2**36 + 1},
        {"breaker_min_notional_units": -1},
        {"breaker_min_notional_units": AMOUNT_MAX + 1},
    ],
)
def test_breakers_that_no_engine_can_run_are_refused(changes: dict[str, Any]) -> None:
    table = Table()
    refused(table, market_frames(table, **changes), Reason.INVALID_SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [
        {"breaker_rules": [rule(rule_id=65_535, bp=9_999, window_ms=1_000, halt_s=300)]},
        {"breaker_rules": [rule(rule_id=number) for number in range(1, 17)]},
        {"breaker_rules": [rule(measure=BreakerMeasure.VWAP)], "max_price_ticks": 2**44, "max_lots": 2**36},
        {"breaker_rules": [rule()], "max_price_ticks": 2**44 + 1},
        {"breaker_min_notional_units": AMOUNT_MAX},
    ],
)
def test_breakers_at_their_bounds_are_taken(changes: dict[str, Any]) -> None:
    table = Table()
    (event,) = table.run(market_frames(table, **changes))
    assert isinstance(event, SettingsApplied)
    copy = Engine.restore(table.engine.snapshot())
    assert copy.state_hash() == table.engine.state_hash()
    settings = copy._state.markets[MARKET].settings
    assert {name: getattr(settings, name) for name in changes} == changes


def test_a_default_that_is_said_takes_no_room() -> None:
    """Numbers above 256 are other objects than the default's when they come from a body."""
    said = msgspec.msgpack.decode(msgspec.msgpack.encode(SETTINGS.plain()), type=messages.MarketSettings)
    assert said.park_expiry_s is not SETTINGS.park_expiry_s
    body = messages.body_of(SETTINGS)
    assert messages.body_of(said) == body == msgspec.msgpack.encode(SETTINGS)
    assert b"park_expiry_s" not in body
    assert encode_set_market(said, relay_seq=1, source=1) == encode_set_market(SETTINGS, relay_seq=1, source=1)


def test_settings_that_do_not_fit_into_the_frames_of_one_command_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule(rule_id=65_500 + number, bp=9_999, window_ms=86_400_000, halt_s=300) for number in range(16)]
    large = msgspec.structs.replace(
        SETTINGS, max_notional_units=AMOUNT_MAX, fees=[(-100_000, 499_999)] * 16, symbol="M" * 20, breaker_rules=rules
    )
    large.check()
    assert encode_set_market(large, relay_seq=1, source=1)
    length = len(msgspec.msgpack.encode(large))
    assert length < messages.BODY_BYTES_MAX
    monkeypatch.setattr(messages, "BODY_BYTES_MAX", length)
    large.check()
    monkeypatch.setattr(messages, "BODY_BYTES_MAX", length - 1)
    with pytest.raises(SettingsError, match="fewer breaker rules or fee tiers"):
        large.check()


def test_a_tick_times_a_lot_may_need_more_than_64_bits() -> None:
    """Ticks of 100 USDT and lots of 100 BTC: 10^20 before it is scaled down to units."""
    table = Table(
        tick_size=10**10, lot_size=10**10, initial_price_ticks=5, max_price_ticks=100, max_lots=10, market_max_lots=10
    )
    table.place(
        "b1", "alice", side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, price_ticks=5,
        quantity_lots=1,
    )  # fmt: skip
    assert table.balance("alice", "USDT") == (95 * 10**12, 5 * 10**12)
