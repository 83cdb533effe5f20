"""What a market allows, read from the exchange before the run: grid of prices and quantities, last price, limits."""

import ssl
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import httpx

from apps.gateway.loadgen.plan import Plan, PlanError, tls_of

SETUP_TIMEOUT_S: Final = 10
# Resting orders lie on so many levels, beginning this far away from the last price.
LEVELS: Final = 100
DISTANCE: Final = Decimal("0.01")
# Twice the least notional, so that a price that falls meanwhile does not make orders too small.
NOTIONAL_FACTOR: Final = 2


@dataclass(frozen=True, slots=True)
class Market:
    """`limits`: the rate limits in force, as the exchange shows them."""

    symbol: str
    price: Decimal
    tick: Decimal
    quantity: Decimal
    limits: tuple[str, ...]

    def resting_price(self, side: str, level: int) -> str:
        """Away from the last price, on level 0 to LEVELS - 1."""
        distance = (self.price * DISTANCE // self.tick + 1 + level) * self.tick
        return f"{self.price - distance if side == 'BUY' else self.price + distance:f}"

    @property
    def meeting_price(self) -> str:
        return f"{self.price:f}"

    @property
    def amount(self) -> str:
        return f"{self.quantity:f}"


def read_market(client: httpx.Client, plan: Plan) -> Market:
    """PlanError when the exchange cannot be reached, does not know the symbol, or the quantity is off its grid."""
    info = _get(client, "/api/v3/exchangeInfo", plan.symbol)
    [row] = info["symbols"]
    filters = {each["filterType"]: each for each in row["filters"]}
    tick, step = Decimal(filters["PRICE_FILTER"]["tickSize"]), Decimal(filters["LOT_SIZE"]["stepSize"])
    price = Decimal(plan.price or _get(client, "/api/v3/ticker/price", plan.symbol)["price"])
    price = (price / tick).to_integral_value(ROUND_FLOOR) * tick
    least = Decimal(filters.get("NOTIONAL", filters.get("MIN_NOTIONAL", {})).get("minNotional", "0"))
    if plan.quantity:
        quantity = _quantity(plan.quantity, step)
    else:
        lots = (least * NOTIONAL_FACTOR / price / step).to_integral_value(ROUND_CEILING)
        quantity = max(lots * step, Decimal(filters["LOT_SIZE"]["minQty"]))
    limits = tuple(
        f"{each['limit']} {each['rateLimitType']} in {each['intervalNum']} {each['interval']}"
        for each in info.get("rateLimits", ())
    )
    return Market(plan.symbol, price.normalize(), tick.normalize(), quantity.normalize(), limits)


def _quantity(text: str, step: Decimal) -> Decimal:
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise PlanError(f"{text[:40]!r} is no quantity; one looks like 0.01.")
    quantity = Decimal(text)
    if quantity <= 0 or quantity % step:
        raise PlanError(f"The quantity {text} must be a multiple of {step:f} above 0.")
    return quantity


def _get(client: httpx.Client, path: str, symbol: str) -> Any:
    answer = get(client, path, {"symbol": symbol})
    if answer.status_code != 200:
        raise PlanError(f"The exchange answers {path} with {answer.status_code}: {answer.text[:200]}")
    return answer.json()


def get(client: httpx.Client, path: str, params: dict[str, str]) -> httpx.Response:
    try:
        return client.get(path, params=params)
    except httpx.HTTPError as error:
        raise PlanError(f"{client.base_url} does not answer: {error or type(error).__name__}.") from error


def http_client(plan: Plan) -> httpx.Client:
    # Without TLS nothing needs the machine's certificates, which take a while to read.
    tls = tls_of(plan) or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(base_url=plan.url, timeout=SETUP_TIMEOUT_S, verify=tls, trust_env=False)
