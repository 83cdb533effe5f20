"""Public answers as bytes: the same until the market's next record, and never those of another market or parameter."""

from typing import Any

import msgspec

from apps.gateway.book import PublicMarket
from apps.gateway.markets import Asset, Market
from apps.gateway.prebuilt import KEPT_MAX, prebuilt
from apps.gateway.publicanswers import depth
from apps.gateway.timeunit import in_microseconds
from apps.streams.kinds import MarketState
from tests.gateway.test_publicfeed import depth as depth_record
from tests.gateway.test_publicfeed import snapshot
from tests.orders.tape import market_settings


def make_market(**changes: Any) -> Market:
    terms = msgspec.structs.asdict(market_settings(**changes))
    return Market(
        **terms, base=Asset(1, "BTC", "BTC"), quote=Asset(2, "USDT", "USDT"), state=MarketState.OPEN, state_seq=0
    )


def book(market: Market, state: PublicMarket, limit: int = 5) -> Any:
    return msgspec.json.decode(
        prebuilt(market, state, ("depth", limit), lambda market, state: depth(market, state, limit))
    )


def test_an_answer_is_built_once_for_each_state() -> None:
    market, state = make_market(), PublicMarket.from_snapshot(1, snapshot())
    first = prebuilt(market, state, "x", lambda market, state: {"u": state.u})
    assert prebuilt(market, state, "x", lambda market, state: {"never": "built"}) is first
    assert bytes(first) == b'{"u":10}'
    state.apply(depth_record(11, 12, [[99, 0]]))
    assert bytes(prebuilt(market, state, "x", lambda market, state: {"u": state.u})) == b'{"u":12}'


def test_parameters_and_settings_are_kept_apart() -> None:
    market, state = make_market(), PublicMarket.from_snapshot(1, snapshot())
    assert (len(book(market, state)["bids"]), len(book(market, state, 1)["bids"])) == (2, 1)
    finer = make_market(settings_version=2, tick_size=100_000, lot_size=10_000)
    assert book(market, state)["asks"] == [["1.01000000", "0.00002000"]]
    assert book(finer, state)["asks"] == [["0.10100000", "0.00020000"]]


def test_a_quiet_market_keeps_only_so_many() -> None:
    market, state = make_market(), PublicMarket.from_snapshot(1, snapshot())
    for limit in range(1, 10 * KEPT_MAX):
        book(market, state, limit)
    assert len(state.answers) <= KEPT_MAX


def test_times_of_a_built_answer_come_in_microseconds_too() -> None:
    assert in_microseconds(msgspec.Raw(b'{"closeTime":5,"price":"1.00000000"}')) == {
        "closeTime": 5000, "price": "1.00000000",
    }  # fmt: skip
    assert in_microseconds([msgspec.Raw(b'{"closeTime":5}'), {"closeTime": 6}]) == [
        {"closeTime": 5000}, {"closeTime": 6000},
    ]  # fmt: skip
