"""The hub publishes under the names of the table, all of them and no others (apps/gateway/streams/names.py)."""

import ast
import inspect
from types import SimpleNamespace
from typing import Any

from apps.gateway.book import PublicMarket
from apps.gateway.streams import hub, names
from apps.markets.liveintervals import LIVE
from apps.markets.marketdata.ticker import WINDOWS
from apps.streams.kinds import MarketState

MARKET: Any = SimpleNamespace(id=1, symbol="ETHUSDT", state=MarketState.OPEN, state_seq=0)
RECORDS = [
    {"t": "trade"}, {"t": "agg"}, {"t": "depth"}, {"t": "depth1s"}, {"t": "top"}, {"t": "ticker"}, {"t": "auction"},
    {"t": "distance"}, {"t": "state", "u": 1, "state": MarketState.OPEN},
    *({"t": "kline", "i": interval, "x": False} for interval in LIVE),
    *({"t": "window", "w": window} for window in WINDOWS),
]  # fmt: skip


class AskedFor(dict[str, Any]):
    """Topics without a subscriber: remembers which ones the hub looks for."""

    def __init__(self) -> None:
        super().__init__({"somebody": {}})
        self.names: set[str] = set()

    def __contains__(self, topic: object) -> bool:
        self.names.add(str(topic))
        return False


def published() -> set[str]:
    markets: Any = SimpleNamespace(by_id={1: MARKET})
    made, topics = hub.Hub(markets, lambda _: None, lambda: None), AskedFor()
    made._topics = topics
    for record in RECORDS:
        made.on_record(MARKET, PublicMarket(1), record)
    made.on_second(0)
    return topics.names


def test_every_record_is_tried() -> None:
    [function] = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(hub)))
        if isinstance(node, ast.FunctionDef) and node.name == "on_record"
    ]
    words = {
        each.value.value
        for case in ast.walk(function) if isinstance(case, ast.match_case)
        for each in ast.walk(case.pattern) if isinstance(each, ast.MatchValue) and isinstance(each.value, ast.Constant)
    }  # fmt: skip
    assert words == {record["t"] for record in RECORDS}


def test_the_hub_and_the_table_know_the_same_names() -> None:
    listed = names.every_name("ETHUSDT")
    assert len(listed) == len(set(listed)) > 60
    assert published() == set(listed)


def test_names_of_a_form() -> None:
    assert names.names_of("<symbol>@depth<levels>", "BTCUSDT") == [
        "btcusdt@depth5", "btcusdt@depth10", "btcusdt@depth20",
    ]  # fmt: skip
    assert names.names_of("!ticker_<window>@arr", "BTCUSDT") == ["!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr"]
    assert "btcusdt@kline_1M@+08:00" in names.every_name("BTCUSDT")
