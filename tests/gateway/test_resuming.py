"""User data resumed with `fromSeq`: what comes again is what came before, whoever gives it, from every place."""

import asyncio
import random
from typing import Any

import pytest

from apps.gateway.wsapi.session import session_weight
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, held, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import open_socket, signed

SYMBOL = "ETHUSDT"
SEED = random.SystemRandom().randrange(2**32)


def subscribe(socket: Socket, client: Client, **more: Any) -> Any:
    answer = socket.ask("userDataStream.subscribe.signature", **signed(client, **more))
    assert answer["status"] == 200, answer
    return answer["result"]


def frames(socket: Socket, last_seq: int) -> list[Any]:
    """Event frames up to the one that ends command `last_seq`."""
    found = [message for message in socket.seen if "event" in message]
    while not found or found[-1].get("seq", 0) < last_seq:
        found.append(socket.until(lambda m: "event" in m))
    return found


def without_time(found: list[Any]) -> list[Any]:
    """The event time is when it is sent, and so the only thing that differs."""
    return [{**each, "event": {key: value for key, value in each["event"].items() if key != "E"}} for each in found]


def act(rng: random.Random, client: Client) -> None:
    """One request; whether it is refused does not matter here."""
    side = rng.choice(("BUY", "SELL"))
    price = f"{rng.randrange(2950, 3050)}.00"
    quantity = f"0.{rng.randrange(10, 99)}"
    away = f"{rng.randrange(3051, 3100) if side == 'BUY' else rng.randrange(2900, 2950)}.00"
    params: dict[str, Any] = {"symbol": SYMBOL, "side": side, "quantity": quantity}
    limit = {"type": "LIMIT", "timeInForce": "GTC", "price": price}
    order, path = "/api/v3/order", "/api/v3/order"
    opposite = "SELL" if side == "BUY" else "BUY"
    kind = rng.choice(
        ("limit", "limit", "limit", "limit", "iceberg", "ioc", "fok", "market", "budget", "stop", "decrement", "oco",
         "oto", "otoco", "cancel", "cancel all", "amend", "replace", "trailing")
    )  # fmt: skip
    match kind:
        case "limit":
            params |= limit
        case "iceberg":
            params |= limit | {"quantity": "1.0", "icebergQty": "0.2", "strategyType": 1_000_000}
        case "ioc" | "fok":
            params |= limit | {"timeInForce": kind.upper()}
        case "market":
            params |= {"type": "MARKET"}
        case "budget":
            params = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quoteOrderQty": f"{rng.randrange(50, 500)}"}
        case "stop":
            params |= limit | {"type": "STOP_LOSS_LIMIT", "stopPrice": away}
        case "trailing":
            params |= {"type": "STOP_LOSS", "trailingDelta": "50", "strategyId": rng.randrange(3)}
        case "decrement":
            params |= limit | {"selfTradePreventionMode": "DECREMENT"}
        case "oco":
            path = "/api/v3/orderList/oco"
            above, below = ("LIMIT_MAKER", "STOP_LOSS") if side == "SELL" else ("STOP_LOSS", "LIMIT_MAKER")
            params |= {"aboveType": above, "belowType": below}
            params |= {"abovePrice": "3020.00"} if above == "LIMIT_MAKER" else {"aboveStopPrice": "3030.00"}
            params |= {"belowPrice": "2980.00"} if below == "LIMIT_MAKER" else {"belowStopPrice": "2970.00"}
        case "oto" | "otoco":
            path = f"/api/v3/orderList/{kind}"
            params = {
                "symbol": SYMBOL, "workingType": "LIMIT", "workingSide": side, "workingPrice": price,
                "workingQuantity": quantity, "workingTimeInForce": "GTC", "pendingSide": opposite,
                "pendingQuantity": quantity,
            }  # fmt: skip
            if kind == "oto":
                params |= {"pendingType": "LIMIT", "pendingPrice": "3000.00", "pendingTimeInForce": "GTC"}
            else:
                params |= {
                    "pendingAboveType": "LIMIT_MAKER" if opposite == "SELL" else "STOP_LOSS",
                    "pendingBelowType": "STOP_LOSS" if opposite == "SELL" else "LIMIT_MAKER",
                }
                params |= (
                    {"pendingAbovePrice": "3060.00", "pendingBelowStopPrice": "2940.00"}
                    if opposite == "SELL"
                    else {"pendingAboveStopPrice": "3060.00", "pendingBelowPrice": "2940.00"}
                )
        case "cancel all":
            client.signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)
            return
        case _:
            open_orders = client.ok("GET", "/api/v3/openOrders", symbol=SYMBOL)
            if not open_orders:
                return
            chosen = rng.choice(open_orders)
            if kind == "cancel":
                client.signed("DELETE", order, symbol=SYMBOL, orderId=chosen["orderId"])
            elif kind == "amend":
                client.signed(
                    "PUT", f"{order}/amend/keepPriority", symbol=SYMBOL, orderId=chosen["orderId"], newQty="0.05"
                )
            else:
                client.signed(
                    "POST", f"{order}/cancelReplace", **params, **limit, cancelReplaceMode="STOP_ON_FAILURE",
                    cancelOrderId=chosen["orderId"],
                )  # fmt: skip
            return
    client.signed("POST", path, **params)


def test_what_comes_again_is_what_came_before(exchange: Exchange, alice: Client, bob: Client) -> None:
    """Orders of every kind, from two sides; then the log is told again from many places, by a new gateway too."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(12):
        act(rng, rng.choice((alice, bob)))
    with open_socket(exchange) as live:
        began = subscribe(live, alice, returnSeq=True)
        assert began["subscriptionId"] == 0
        for _ in range(90):
            act(rng, rng.choice((alice, bob)))
        # A last event, so that everything is told once it is.
        last = alice.limit("BUY", "2500.00", "0.1", symbol=SYMBOL)
        live.until(lambda m: m.get("event", {}).get("i") == last["orderId"])
        live.until(lambda m: "seq" in m)
        exchange.wait_settled()
        told = [message for message in live.seen if "event" in message]
    assert len(told) > 100, "the random orders did something"
    ends = [n for n, frame in enumerate(told) if "seq" in frame]
    assert [told[n]["seq"] for n in ends] == sorted({told[n]["seq"] for n in ends})
    assert ends[-1] == len(told) - 1
    places = [(began["seq"], 0), *((told[n]["seq"], n + 1) for n in ends)]
    chosen = [places[0], *rng.sample(places[1:-1], 12), places[-1]]
    with exchange.further_gateway() as other:
        for seq, begin in chosen:
            with Socket(f"ws://127.0.0.1:{other.port}/ws-api/v3") as again:
                assert subscribe(again, alice, fromSeq=seq) == {"subscriptionId": 0, "seq": seq}
                # What happens now comes behind it, once.
                marker = alice.limit("BUY", "2501.00", "0.1", symbol=SYMBOL)
                again.until(lambda m, marker=marker: m.get("event", {}).get("i") == marker["orderId"])
                end = again.until(lambda m: "seq" in m)
                found = [message for message in again.seen if "event" in message]
                assert without_time(found[: len(told) - begin]) == without_time(told[begin:]), (SEED, seq)
                new = found[len(told) - begin :]
                assert [each["event"]["i"] for each in new if each["event"]["e"] == "executionReport"][-1] == (
                    marker["orderId"]
                )
                told += new
                assert told[-1] == end


def test_a_place_within_a_command_brings_the_whole_command(exchange: Exchange, alice: Client, bob: Client) -> None:
    """`I` of a report is such a place: whoever knows no more than that misses nothing."""
    bob.limit("SELL", "50000.00", "0.1")
    alice.limit("BUY", "50000.00", "0.1")
    with open_socket(exchange) as socket:
        subscribe(socket, alice, returnSeq=True)
        bob.limit("SELL", "50000.00", "0.1")
        bob.limit("SELL", "50001.00", "0.1")
        alice.limit("BUY", "50001.00", "0.3", newClientOrderId="taker")
        last = socket.until(lambda m: "seq" in m)
        whole = [m for m in socket.seen if "event" in m]
        assert [m["event"].get("x") for m in whole] == ["NEW", "TRADE", "TRADE", None]
    for report in whole[:2]:
        with open_socket(exchange) as socket:
            subscribe(socket, alice, fromSeq=report["event"]["I"])
            assert without_time(frames(socket, last["seq"])) == without_time(whole)


def test_places_that_cannot_be_resumed_from(exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.limit("BUY", "40000.00", "0.1")
    exchange.wait_settled()
    with open_socket(exchange) as socket:

        def refused(**more: Any) -> tuple[int, int, str]:
            answer = socket.ask("userDataStream.subscribe.signature", **signed(alice, **more))
            return answer["status"], answer["error"]["code"], answer["error"]["msg"]

        seq = exchange.seq()
        status, code, text = refused(fromSeq=seq + 1_000)
        assert (status, code) == (400, -1130)
        assert text.startswith("fromSeq lies ahead: the newest event is ")
        assert refused(fromSeq="-1")[1] == -1100
        assert refused(returnSeq="maybe")[1] == -1100
        too_old = (
            400,
            -1130,
            "fromSeq is too old: events since then are not kept, or too many. Subscribe with returnSeq, then load"
            " account, openOrders, allOrders and myTrades.",
        )
        monkeypatch.setattr("apps.gateway.pastevents.EVENTS_OF_ACCOUNT_MAX", 0)
        assert refused(fromSeq=0) == too_old
        monkeypatch.undo()
        monkeypatch.setattr("apps.gateway.pastevents.EVENTS_MAX", 0)
        assert refused(fromSeq=0) == too_old
        monkeypatch.undo()
        # The log does not begin there any more.
        ask = exchange.gateway.past_pipe.execute

        def trimmed(command: str, *arguments: Any) -> Any:
            if command == "XRANGE":
                arguments = (arguments[0], f"{seq}-0", *arguments[2:])
            return ask(command, *arguments)

        monkeypatch.setattr(exchange.gateway.past_pipe, "execute", trimmed)
        assert refused(fromSeq=0) == too_old
        monkeypatch.undo()
        assert not exchange.gateway_thread.call(lambda: exchange.gateway.tail._feeds)
        assert subscribe(socket, alice, fromSeq=seq) == {"subscriptionId": 0, "seq": seq}


def test_frames_without_either_parameter_are_the_dialects(exchange: Exchange, alice: Client) -> None:
    with open_socket(exchange) as socket:
        assert subscribe(socket, alice) == {"subscriptionId": 0}
        alice.limit("BUY", "40000.00", "0.1")
        for _ in range(2):
            assert set(socket.until(lambda m: "event" in m)) == {"subscriptionId", "event"}


def test_a_long_absence_does_not_cut_a_client_that_reads(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told at once is more than the connection's queue may hold."""
    with open_socket(exchange) as socket:
        began = subscribe(socket, alice, returnSeq=True)["seq"]
        for number in range(30):
            alice.limit("BUY", f"{40000 + number}.00", "0.01")
        socket.until(lambda m: m.get("event", {}).get("p") == "40029.00000000")
        last_seq = socket.until(lambda m: "seq" in m)["seq"]
        told = frames(socket, last_seq)
    monkeypatch.setattr("apps.gateway.socket.CLIENT_QUEUE_BYTES_MAX", 8_000)
    monkeypatch.setattr("apps.gateway.heldframes.ROOM_BYTES", 2_000)
    with open_socket(exchange) as socket:
        subscribe(socket, alice, fromSeq=began)
        assert without_time(frames(socket, last_seq)) == without_time(told)
    wait_until(lambda: not exchange.gateway_thread.call(lambda: exchange.gateway.tail._feeds))


# -- What it costs ----------------------------------------------------------------------------------------------------
def test_the_past_is_read_on_a_connection_of_its_own(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, each of some events or one entry; orders go another way."""
    began = exchange.seq()
    for _ in range(3):
        last = alice.limit("BUY", "40000.00", "0.1")
    exchange.wait_settled()
    gateway = exchange.gateway
    pipes = {"orders": gateway.pipe, "events": gateway.events_pipe, "past": gateway.past_pipe}
    asked: dict[str, list[tuple[Any, ...]]] = {name: [] for name in pipes}
    for name, pipe in pipes.items():

        def recorded(*arguments: Any, name: str = name, execute: Any = pipe.execute) -> Any:
            asked[name].append(arguments)
            return execute(*arguments)

        monkeypatch.setattr(pipe, "execute", recorded)
    monkeypatch.setattr("apps.gateway.pastevents.READ_EVENTS", 1)
    with open_socket(exchange) as socket:
        subscribe(socket, alice, fromSeq=began)
        socket.until(lambda m: m.get("event", {}).get("i") == last["orderId"])
    reads = {name: [each for each in commands if each[0] == "XRANGE"] for name, commands in asked.items()}
    assert (len(reads["past"]) >= 3, reads["orders"], reads["events"]) == (True, [], [])
    assert gateway.past_pipe not in (gateway.pipe, gateway.events_pipe)
    monkeypatch.setattr("apps.gateway.pastevents.READ_EVENTS", 2_000)
    with open_socket(exchange) as socket:
        count = len(asked["past"])
        subscribe(socket, alice, fromSeq=began)
        assert len(asked["past"]) == count + 1


def test_few_read_the_past_at_a_time(
    exchange: Exchange, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that come while one reads, one may wait for its turn, and the other is told so; so is who waits long."""
    past, user_data = exchange.gateway.user_data._past, exchange.gateway.user_data
    monkeypatch.setattr(past, "_turns", asyncio.Semaphore(1))
    monkeypatch.setattr("apps.gateway.pastevents.WAITING_MAX", 1)
    monkeypatch.setattr("apps.gateway.pastevents.TURN_TIMEOUT_S", 60)
    refused = {
        "code": -1008,
        "msg": "Too many subscriptions are reading what was missed (fromSeq). Please try again.",
    }
    method, seq = "userDataStream.subscribe.signature", exchange.seq()
    with open_socket(exchange) as first, open_socket(exchange) as second, open_socket(exchange) as third:
        with held(exchange.gateway_thread, user_data, "_orders_at") as reads:
            first.send({"id": 1, "method": method, "params": signed(alice, fromSeq=seq)})
            assert reads.wait(40)
            second.send({"id": 1, "method": method, "params": signed(bob, fromSeq=seq)})
            wait_until(lambda: past._waiting == 1)
            answer = third.ask_once(method, **signed(bob, fromSeq=seq))
            assert (answer["status"], answer["error"]) == (503, refused)
            # Who does not look back need not wait.
            assert third.ask(method, **signed(alice))["status"] == 200
        assert first.receive()["result"]["seq"] == second.receive()["result"]["seq"] == seq
        assert past._waiting == 0
        monkeypatch.setattr("apps.gateway.pastevents.TURN_TIMEOUT_S", 0.05)
        with held(exchange.gateway_thread, user_data, "_orders_at") as reads, open_socket(exchange) as fourth:
            fourth.send({"id": 1, "method": method, "params": signed(alice, fromSeq=seq)})
            assert reads.wait(40)
            answer = third.ask_once(method, **signed(bob, fromSeq=seq))
            assert (answer["status"], answer["error"]) == (503, refused)
            assert past._waiting == 0
        assert subscribe(third, bob, fromSeq=seq)["seq"] == seq


def test_the_weight_grows_with_the_distance(exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session_weight({}, 10**6) == 2
    for text, weight in (
        ("1000000", 50), ("999751", 50), ("999750", 51), ("700000", 1250),
        # Refused without a look at the log.
        ("699999", 50), ("1000001", 50), ("-1", 50), ("", 50), ("9" * 30, 50),
    ):  # fmt: skip
        assert session_weight({"fromSeq": text}, 10**6) == weight, text
    monkeypatch.setattr("apps.gateway.wsapi.session.EVENTS_PER_WEIGHT", 1)
    weights: list[int] = []
    admit = exchange.gateway.limits.admit

    def counted(address: str, weight: int, **more: Any) -> Any:
        weights.append(weight)
        return admit(address, weight, **more)

    order = alice.limit("BUY", "40000.00", "0.1")
    wait_until(lambda: exchange.gateway.tail.seq == exchange.seq())
    with open_socket(exchange) as socket:
        monkeypatch.setattr(exchange.gateway.limits, "admit", counted)
        subscribe(socket, alice, fromSeq=exchange.seq() - 2)
        assert set(weights) == {52}
        socket.until(lambda m: m.get("event", {}).get("i") == order["orderId"])
