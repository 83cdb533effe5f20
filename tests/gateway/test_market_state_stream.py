"""`<symbol>@marketState`: clients hear of halts and reopenings without asking again and again (T10)."""

import pytest

from apps.markets.services import MarketAction, set_market_state
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.sockets import Socket


def change(exchange: Exchange, symbol: str, action: MarketAction) -> None:
    set_market_state(symbol=symbol, action=action, reason="test", requested_by="test")
    exchange.wait_settled()


@pytest.mark.parametrize(
    ("action", "status", "state"),
    [(MarketAction.HALT, "HALT", "HALTED"), (MarketAction.CANCEL_ONLY, "CANCEL_ONLY", "CANCEL_ONLY")],
)
def test_state_changes_are_streamed_and_rest_agrees(
    exchange: Exchange, public: Client, action: MarketAction, status: str, state: str
) -> None:
    with (
        Socket(f"{exchange.ws_url}/ws/btcusdt@marketState") as stream,
        Socket(f"{exchange.ws_url}/ws/ethbtc@marketState") as other,
    ):
        for wanted, expected in ((action, (status, state)), (MarketAction.OPEN, ("TRADING", "OPEN"))):
            change(exchange, "BTCUSDT", wanted)
            message = stream.until(lambda told, expected=expected: told["cause"] and told["marketState"] == expected[1])
            assert list(message) == ["e", "E", "s", "status", "marketState", "cause", "until"]
            assert (message["e"], message["s"]) == ("marketState", "BTCUSDT")
            assert (message["status"], message["marketState"]) == expected
            assert (message["cause"], message["until"]) == ("STAFF", None)
            asked = public.get("/api/v3/marketState", symbol="BTCUSDT").json()
            assert asked == {"symbol": "BTCUSDT"} | {name: message[name] for name in list(message)[3:]}
            row = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"][0]
            assert (row["status"], row["marketState"]) == expected
        # The other market said nothing: its first message is the answer to this.
        assert other.control("LIST_SUBSCRIPTIONS")["result"] == ["ethbtc@marketState"]
        assert len(other.seen) == 1
