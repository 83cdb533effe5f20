"""What a client may send: orders of every kind, around one price so that they meet."""

import random
import time
from typing import Any

from tests.chaos.history import Kind

SYMBOL = "LTCUSDT"
ORDER = "/api/v3/order"
OCO = "/api/v3/orderList/oco"
MIDDLE, AWAY = 10_000, 10  # prices, in hundredths
# (form, how often of a hundred)
SHARES = {
    "plain": 52, "maker": 6, "ioc": 6, "fok": 5, "gtd": 6, "iceberg": 7, "stop-limit": 5, "profit-limit": 3, "stop": 3,
    "trailing": 2, "oco": 5,
}  # fmt: skip
Request = tuple[Kind, str, dict[str, Any]]


def new_order(draw: random.Random, client_id: str) -> Request:
    """(kind, path, parameters) of an order or a list. `plain` is a limit order until it is cancelled."""
    (form,) = draw.choices(list(SHARES), list(SHARES.values()))
    side, lots = draw.choice(("BUY", "SELL")), draw.randint(1, 20)
    limit = draw.randint(MIDDLE - AWAY, MIDDLE + AWAY)
    common = {"symbol": SYMBOL, "side": side, "quantity": _quantity(lots), "newOrderRespType": "FULL"}
    if form == "oco":
        return Kind.PLACE_LIST, OCO, {**common, **_legs(draw, client_id, side), "listClientOrderId": client_id}
    common["newClientOrderId"] = client_id
    return Kind.PLACE, ORDER, {**common, **_terms(draw, form, side, lots, limit)}


def replacement(draw: random.Random, client_id: str, old_client_id: str) -> dict[str, Any]:
    """Parameters of a cancel-replace by a plain order."""
    return {
        "symbol": SYMBOL, "side": draw.choice(("BUY", "SELL")), "type": "LIMIT", "timeInForce": "GTC",
        "price": _price(draw.randint(MIDDLE - AWAY, MIDDLE + AWAY)), "quantity": _quantity(draw.randint(1, 20)),
        "newClientOrderId": client_id, "newOrderRespType": "FULL", "cancelOrigClientOrderId": old_client_id,
        "cancelReplaceMode": draw.choice(("STOP_ON_FAILURE", "ALLOW_FAILURE")),
    }  # fmt: skip


def less(draw: random.Random, quantity: str) -> str:
    """A smaller quantity, or the same where there is none."""
    return _quantity(draw.randint(1, max(1, int(quantity.replace(".", "")) - 1)))


def _terms(draw: random.Random, form: str, side: str, lots: int, limit: int) -> dict[str, Any]:
    price = {"price": _price(limit)}
    away = draw.randint(1, AWAY) * (1 if side == "BUY" else -1)
    match form:
        case "maker":
            return {"type": "LIMIT_MAKER", **price}
        case "ioc" | "fok":
            return {"type": "LIMIT", "timeInForce": form.upper(), **price}
        case "gtd":
            ends_ms = int(time.time() * 1000) + draw.randint(500, 5_000)
            return {"type": "LIMIT", "timeInForce": "GTD", "goodTillDate": ends_ms, **price}
        case "iceberg":
            tip = _quantity(draw.randint(-(-lots // 10), lots))
            return {"type": "LIMIT", "timeInForce": "GTC", "icebergQty": tip, **price}
        case "stop-limit":
            return {"type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "stopPrice": _price(MIDDLE + away), **price}
        case "profit-limit":
            return {"type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTC", "stopPrice": _price(MIDDLE - away), **price}
        case "stop":
            # Sells only: what a market buy that waits holds does not follow from the order alone.
            return {"type": "STOP_LOSS", "side": "SELL", "stopPrice": _price(MIDDLE - abs(away))}
        case "trailing":
            return {"type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "trailingDelta": draw.randint(10, 50), **price}
    return {"type": "LIMIT", "timeInForce": "GTC", **price}


def _legs(draw: random.Random, client_id: str, side: str) -> dict[str, Any]:
    """A post-only order on its own side of the price and a stop-limit on the other."""
    near, far = draw.randint(1, AWAY), draw.randint(1, AWAY)
    maker = {"Type": "LIMIT_MAKER"}
    stop = {"Type": "STOP_LOSS_LIMIT", "TimeInForce": "GTC"}
    if side == "SELL":
        above = {**maker, "Price": _price(MIDDLE + near)}
        below = {**stop, "StopPrice": _price(MIDDLE - far), "Price": _price(MIDDLE - far - 1)}
    else:
        above = {**stop, "StopPrice": _price(MIDDLE + far), "Price": _price(MIDDLE + far + 1)}
        below = {**maker, "Price": _price(MIDDLE - near)}
    return {
        **{f"above{name}": value for name, value in above.items()},
        **{f"below{name}": value for name, value in below.items()},
        "aboveClientOrderId": f"{client_id}-a",
        "belowClientOrderId": f"{client_id}-b",
    }


def _price(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _quantity(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"
