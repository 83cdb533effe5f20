"""SET_CLASS_STATE: every market of an asset class is moved at once (T10); HALT_DISTANCE (T9)."""

from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.streams.codec import encode_command, encode_set_asset, encode_set_market
from apps.streams.commands import SetClassState, Tick
from apps.streams.events import HaltDistance, MarketStateChanged, RelayRefused, SettingsApplied
from apps.streams.kinds import CommandKind, EventKind, MarketState, Reason
from apps.streams.messages import AssetSettings, BreakerRule
from tests.matching.engine.play import MARKET, Table, play
from tests.matching.engine.test_settings import market_frames, state_command

FIVE = BreakerRule(1, 1, 500, 60_000, 120)


def three_markets() -> Table:
    """BTC is of class coin. BTCUSDT open, ETHBTC halted by staff, ETHUSDT open, OTHER (BTC, closed)."""
    table = Table(call_s=30)
    table.run(encode_set_asset(AssetSettings(asset_id=3, code="ETH"), **table.numbered()))
    table.play("class-of BTC coin -> applied")
    for market_id, base, quote, start in (
        (9, 3, 1, MarketState.HALTED), (5, 3, 2, MarketState.OPEN), (7, 1, 2, MarketState.CLOSED),
    ):  # fmt: skip
        frames = market_frames(
            table, market_id=market_id, symbol=f"M{market_id}", base_asset_id=base, quote_asset_id=quote
        )
        table.run(frames)
        table.run(state_command(table, market_id=market_id, state=start))
    return table


def test_every_market_of_the_class_moves_by_ascending_id_but_not_one_that_is_closed() -> None:
    table = three_markets()
    first, *moved = table.send(
        SetClassState(asset_class="coin", state=MarketState.HALTED, cause=1, **table.numbered())
    )  # fmt: skip
    assert isinstance(first, SettingsApplied)
    assert (first.op, first.relay_seq, first.object_id) == (CommandKind.SET_CLASS_STATE, table.relay_seq, 0)
    assert [(event.market_id, event.new_state, event.relay_seq) for event in moved] == [
        (MARKET, MarketState.HALTED, 0), (9, MarketState.HALTED, 0),
    ]  # fmt: skip
    table.engine.validate()
    copy = Engine.restore(table.engine.snapshot())
    assert copy.state_hash() == table.engine.state_hash()
    table.engine = copy
    answer = table.ask("class-state coin AUCTION")
    assert answer == "applied, HALTED to AUCTION for 30 s, HALTED to AUCTION for 30 s"


def test_a_market_that_could_not_be_moved_alone_does_not_hold_up_the_others() -> None:
    table = three_markets()
    table.play("state AUCTION\nask a1 alice 50000 0.1\nbid b1 bob 50000 0.1\nstate HALTED")
    answer = table.send(SetClassState(asset_class="coin", state=MarketState.OPEN, cause=1, **table.numbered()))
    assert [event.market_id for event in answer if isinstance(event, MarketStateChanged)] == [9]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"asset_class": "other"}, Reason.UNKNOWN_CLASS),
        ({"asset_class": ""}, Reason.MALFORMED),
        ({"market_id": 1}, Reason.MALFORMED),
        ({"flags": 1}, Reason.MALFORMED),
        ({"state": 0}, Reason.MALFORMED),
        ({"cause": 4}, Reason.MALFORMED),
        ({"cause": 5}, Reason.MALFORMED),
        ({"state": MarketState.PRE_LAUNCH}, Reason.INVALID_STATE),
    ],
)
def test_refusals_change_nothing(fields: dict[str, Any], reason: Reason) -> None:
    table = three_markets()
    before = table.state_but_seq()
    wanted: dict[str, Any] = {"asset_class": "coin", "state": MarketState.HALTED, "cause": 1} | fields
    (event,) = table.run(encode_command(SetClassState(**wanted, **table.numbered())))
    assert isinstance(event, RelayRefused)
    assert event.reason == reason
    assert table.state_but_seq() == before


def test_a_class_has_a_name_of_at_most_sixteen_characters() -> None:
    table = Table()
    settings = AssetSettings(asset_id=1, code="BTC", asset_class="seventeen letters")
    (event,) = table.run(encode_set_asset(settings, **table.numbered()))
    assert (event.KIND, event.reason) == (EventKind.RELAY_REFUSED, Reason.INVALID_SETTINGS)


# -- distance to halt -------------------------------------------------------------------------------------------------
def distances(table: Table, *times_ms: int) -> list[tuple[int, int]]:
    """(down, up) of the events at ticks after so many milliseconds each."""
    found = []
    for step_ms in times_ms:
        table.now_ms += step_ms - 1
        found += [(e.down_ticks, e.up_ticks) for e in table.send(Tick()) if isinstance(e, HaltDistance)]
    return found


def test_the_distance_is_told_at_a_tick_when_it_changes_and_at_most_once_a_second() -> None:
    table = Table(breaker_rules=[FIVE])
    assert distances(table, 100, 2_000) == []
    table.play("ask a1 alice 50000 0.1\nbuy p1 bob market 0.1")
    assert distances(table, 100, 100) == [(4_749_999, 5_250_001)]
    table.play("ask a2 alice 51000 0.1\nbuy p2 bob market 0.1")
    assert distances(table, 100, 100, 500) == []
    assert distances(table, 300) == [(4_844_999, 5_250_001)]
    assert distances(table, 10_000, 10_000) == []
    assert distances(table, 60_000) == [(4_844_999, 5_355_001)]
    table.play("distance -> halt below 48450 and above 53550")
    for price, answer in (("48450", "trade b1 48450 0.1, done"), ("48449.99", "expired breaker")):
        copy = Table(breaker_rules=[FIVE])
        copy.engine, copy.now_ms, copy.accounts = Engine.restore(table.engine.snapshot()), table.now_ms, table.accounts
        copy.play(f"bid b1 alice {price} 0.1")
        assert copy.ask("sell s1 bob market 0.1").startswith(answer)


def test_of_several_rules_the_nearest_price_and_its_rule_are_told() -> None:
    rules = [FIVE, BreakerRule(2, 2, 300, 60_000, 120), BreakerRule(3, 2, 300, 30_000, 120)]
    table = Table(breaker_rules=rules)
    table.play("ask a1 alice 50000 0.1\nbuy p1 bob market 0.1")
    (event,) = table.send(Tick())
    assert (event.up_ticks, event.up_rule_id) == (5_150_001, 2)
    assert (event.down_ticks, event.down_rule_id) == (4_849_999, 2)


def test_no_distance_is_told_outside_open() -> None:
    table = play("ask a1 alice 50000 0.1\nbuy p1 bob market 0.1\nstate HALTED", breaker_rules=[FIVE])
    assert distances(table, 2_000, 2_000) == []
    table.play("state OPEN")
    assert distances(table, 10) == [(4_749_999, 5_250_001)]


def test_a_market_without_breakers_has_no_distance_any_more() -> None:
    table = play("ask a1 alice 50000 0.1\nbuy p1 bob market 0.1", breaker_rules=[FIVE])
    assert distances(table, 1_000) == [(4_749_999, 5_250_001)]
    table.play("breakers")
    assert distances(table, 1_000, 1_000) == [(0, 0)]
    table.play("breakers 1:price:500:60:120")
    assert distances(table, 1_000) == [(4_749_999, 5_250_001)]


def test_changed_settings_of_an_asset_keep_its_totals() -> None:
    table = play("fund alice 5 BTC\nclass-of BTC coin -> applied\nclass-of BTC gold -> applied")
    table.engine.validate()
    assert table.ask("class-state coin HALTED") == "refused unknown_class"
    assert encode_set_market(table.settings, **table.numbered())
