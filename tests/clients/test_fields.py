"""The field tables find what breaks real clients: a planted fault of each sort is reported with its path."""

import copy
from typing import Any

import pytest

from tests.clients.fields.kinds import problems
from tests.clients.fields.streams import table_of
from tests.clients.fields.tables import ERROR, REST, WS

PLACED: dict[str, Any] = {
    "symbol": "BTCUSDT", "orderId": 688, "orderListId": -1, "clientOrderId": "AGrdkQlvieMvO2Efs51yZQ",
    "transactTime": 1795306578147, "price": "40000.00000000", "origQty": "0.10000000", "executedQty": "0.00000000",
    "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000", "status": "NEW", "timeInForce": "GTC",
    "type": "LIMIT", "side": "BUY", "workingTime": 1795306578147, "selfTradePreventionMode": "EXPIRE_TAKER",
    "fills": [
        {"price": "1.00000000", "qty": "1.00000000", "commission": "0.00000100", "commissionAsset": "BTC", "tradeId": 5}
    ],
}  # fmt: skip


def test_a_right_answer_fits() -> None:
    assert problems(REST["POST /api/v3/order"], PLACED) == []
    assert problems(WS["order.place"], {name: PLACED[name] for name in list(PLACED)[:5]}) == [], "an ACK"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("price", 40000.0, "a number"),
        ("price", "4e4", "an exponent"),
        ("price", "40000", "no padding"),
        ("price", "-1.00000000", "a sign"),
        ("orderId", "688", "an id as text"),
        ("orderId", 2**60, "an id beyond 2^53"),
        ("transactTime", 1795306578, "seconds"),
        ("transactTime", "2026-11-22T00:00:00Z", "ISO time"),
        ("status", "OPEN", "an unknown word"),
        ("workingTime", None, "null"),
        ("workingTime", True, "a flag for an integer"),
        ("fills", {}, "an object for a list"),
        ("clientOrderId", "", "an empty id"),
        ("extra", 1, "an unknown field"),
    ],
)
def test_a_planted_fault_is_found(path: str, value: Any, fault: str) -> None:
    found = problems(REST["POST /api/v3/order"], {**PLACED, path: value})
    assert len(found) == 1, fault
    assert found[0].startswith(f"$.{path} "), fault


def test_a_missing_field_is_found_inside_lists_too() -> None:
    wrong = copy.deepcopy(PLACED)
    del wrong["fills"][0]["tradeId"]
    assert problems(REST["POST /api/v3/order"], wrong) == ["$.fills[0].tradeId is missing"]
    assert problems(REST["GET /api/v3/depth"], {"lastUpdateId": 1, "bids": [["1.00000000"]], "asks": []}) == [
        "$.bids[0] is ['1.00000000'], not a list of 2"
    ]


def test_an_error_has_both_fields() -> None:
    assert problems(ERROR, {"code": -1121, "msg": "Invalid symbol."}) == []
    assert problems(ERROR, {"code": -1121}) == ["$.msg is missing"]


def test_streams_are_told_apart() -> None:
    assert table_of({"e": "trade"})[0] == "trade"
    assert table_of({"lastUpdateId": 1})[0] == "depthN"
    assert table_of({"u": 1, "s": "X", "b": "1"})[0] == "bookTicker"
    assert table_of([{"e": "24hrMiniTicker"}])[0] == "24hrMiniTicker[]"
    assert table_of({"e": "odd"})[1] is None
