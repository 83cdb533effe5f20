"""Prometheus metrics of the gateway."""

from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter("nebannpet_gateway_requests_total", "REST requests answered.", ["endpoint", "status"])
SECONDS: Final = Histogram(
    "nebannpet_gateway_request_seconds",
    "Time from a request's arrival to its answer.",
    ["endpoint"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
SOCKETS: Final = Gauge("nebannpet_gateway_sockets", "Open WebSocket connections.", ["kind"])
PRESSURE: Final = Gauge("nebannpet_gateway_pressure", "1 while this limit is passed and refuses new orders.", ["cause"])
REFUSED_ORDERS: Final = Counter(
    "nebannpet_gateway_refused_orders_total", "New orders refused by back-pressure.", ["cause"]
)
MARKET_DATA_AGE: Final = Gauge(
    "nebannpet_gateway_market_data_age_seconds", "Since market data last showed that public data lack nothing."
)
CUT_OFF: Final = Counter("nebannpet_gateway_cut_off_total", "Clients cut off.", ["reason"])
WS_REQUESTS: Final = Counter("nebannpet_gateway_ws_requests_total", "WebSocket API requests.", ["method", "status"])
LIMITED: Final = Counter("nebannpet_gateway_limited_total", "Requests refused by a rate limit.", ["limit"])


def count_request(endpoint: str, status: int, seconds: float) -> None:
    """One answered REST request."""
    requests, times = _of_request(endpoint, status)
    requests.inc()
    times.observe(seconds)


@lru_cache(maxsize=4096)
def _of_request(endpoint: str, status: int) -> tuple[Counter, Histogram]:
    """Both with their labels, whose look-up takes longer than to count."""
    return REQUESTS.labels(endpoint, str(status)), SECONDS.labels(endpoint)


@lru_cache(maxsize=4096)
def ws_requests(method: str, status: int) -> Counter:
    """The counter of WebSocket API requests that ended so."""
    return WS_REQUESTS.labels(method, str(status))
