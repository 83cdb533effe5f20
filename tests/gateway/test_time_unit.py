"""Times in milliseconds or microseconds: the answer's unit by header, a parameter's by its size."""

import time
from typing import Any

from apps.gateway import timeunit
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import wait_until

MICRO = {"x-mbx-time-unit": "MICROSECOND"}


def test_every_time_of_an_answer(alice: Client, bob: Client) -> None:
    alice.limit("SELL", "50000.00", "0.1")
    bob.limit("BUY", "50000.00", "0.2")
    for method, target in (
        ("GET", "/api/v3/openOrders"), ("GET", "/api/v3/allOrders?symbol=BTCUSDT"),
        ("GET", "/api/v3/myTrades?symbol=BTCUSDT"),
    ):  # fmt: skip
        path, _, query = target.partition("?")
        params = dict(pair.split("=") for pair in query.split("&") if pair)
        milli = bob.ok(method, path, **params)
        micro = bob.raw(method, f"{path}?{bob.query(**params)}", **MICRO).json()
        assert milli
        for one, other in zip(milli, micro, strict=True):
            for name in one:
                is_time = name in timeunit.FIELDS and one[name] > 0
                assert other[name] == (one[name] * 1000 if is_time else one[name]), name
    placed = bob.raw(
        "POST", f"/api/v3/order?{bob.query(**LIMIT, side='BUY', price='40000', quantity='0.1')}", **MICRO
    ).json()
    assert placed["transactTime"] > timeunit.PER_MS * 10**12
    assert placed["workingTime"] == placed["transactTime"]
    waiting = bob.raw(
        "POST",
        f"/api/v3/order?{bob.query(**{**LIMIT, 'type': 'STOP_LOSS_LIMIT'}, side='BUY', price='60000', stopPrice='60000', quantity='0.1', newOrderRespType='RESULT')}",  # noqa: E501
        **MICRO,
    ).json()
    assert waiting["workingTime"] == -1


def test_public_times_and_the_header(public: Client, alice: Client, bob: Client) -> None:
    alice.limit("SELL", "50000.00", "0.1")
    trade_id = bob.market("BUY", quantity="0.1")["fills"][0]["tradeId"]
    wait_until(
        lambda: [row["id"] for row in public.get("/api/v3/trades", symbol="BTCUSDT", limit=1).json()] == [trade_id]
    )
    [milli] = public.get("/api/v3/trades", symbol="BTCUSDT", limit=1).json()
    [micro] = public.raw("GET", "/api/v3/trades?symbol=BTCUSDT&limit=1", **MICRO).json()
    assert micro == {**milli, "time": milli["time"] * 1000}
    day = "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=1"
    [bar] = wait_until(lambda: public.raw("GET", day, **MICRO).json())
    assert (bar[0] % 86_400_000_000, bar[6] - bar[0]) == (0, 86_399_999_999)
    now = int(time.time() * 1_000_000)
    for unit, per_ms in (("MICROSECOND", 1000), ("microsecond", 1000), ("MILLISECOND", 1), ("millisecond", 1)):
        told = public.raw("GET", "/api/v3/time", **{"x-mbx-time-unit": unit}).json()["serverTime"]
        assert abs(told * 1000 // per_ms - now) < 60_000_000, unit
    for unit in ("", "SECOND", "Microsecond", "MICROSECOND,MILLISECOND"):
        refused = public.raw("GET", "/api/v3/time", **{"x-mbx-time-unit": unit})
        assert (refused.status_code, refused.json()) == (
            400, {"code": -1194, "msg": "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."},
        )  # fmt: skip
    # The wallet's endpoints know milliseconds only.
    rights = alice.raw("GET", f"/sapi/v1/account/apiRestrictions?{alice.query()}", **MICRO).json()
    assert rights == alice.ok("GET", "/sapi/v1/account/apiRestrictions")


def test_a_wrong_unit_places_no_order(alice: Client) -> None:
    query = alice.query(**LIMIT, side="BUY", price="40000", quantity="0.1")
    assert alice.raw("POST", f"/api/v3/order?{query}", **{"x-mbx-time-unit": "s"}).json()["code"] == -1194
    assert alice.ok("GET", "/api/v3/openOrders") == []


def test_time_parameters_in_microseconds(alice: Client, bob: Client) -> None:
    alice.limit("SELL", "50000.00", "0.1")
    bob.market("BUY", quantity="0.1")
    [mine] = bob.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    at_us = mine["time"] * 1000

    def ids(**params: Any) -> list[int]:
        return [row["id"] for row in bob.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT", **params)]

    assert ids(startTime=at_us, endTime=at_us) == [mine["id"]]
    assert ids(startTime=at_us - 1, endTime=at_us + 999) == [mine["id"]]
    # A microsecond after the print is after it, one before is before it.
    assert ids(startTime=at_us + 1) == []
    assert ids(endTime=at_us - 1) == []
    end_us = int(time.time() * 1_000_000) + 3_600_000_000
    order = alice.limit("BUY", "40000.00", "0.1", timeInForce="GTD", goodTillDate=end_us)
    assert order["goodTillDate"] == end_us // 1000
