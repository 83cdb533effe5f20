"""What a rate limit becomes in the client libraries: their own exception, with the time to wait."""

from collections.abc import Iterator

import pytest

from apps.gateway.limits.tiers import STANDARD, Tier
from tests.clients.running import HERE, Place, run
from tests.dialect import Account
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.gateway.limiting import forget_counts

SMALL = Tier(
    weight_per_minute=60, wallet_weight_per_minute=20, requests_per_5_minutes=1000, orders_per_10_s=3, orders_per_day=4
)
NOBODY = Account("", "", "", "", 0)


@pytest.fixture
def small(exchange: Exchange) -> Iterator[GatewayThread]:
    """A gateway where one request of weight 50 fits into a minute."""
    forget_counts(exchange.edge_url)
    with exchange.further_gateway(tiers={STANDARD: SMALL}, violations_max=10) as thread:
        gateway = thread.gateway
        assert gateway is not None
        wait_until(lambda: gateway.edge_pipe.connected)
        yield thread
    forget_counts(exchange.edge_url)


@pytest.mark.parametrize(
    ("environment", "script", "said"),
    [
        ("ccxt", "with_ccxt", "DDoSProtection"),
        ("python-binance", "with_python_binance", "429 -1003"),
        ("binance-connector", "with_connector", "429 -1003"),
        ("binance-sdk-spot", "with_sdk", "-1003"),
    ],
)
def test_too_much_weight(small: GatewayThread, environment: str, script: str, said: str) -> None:
    url = f"http://127.0.0.1:{small.port}"
    place = Place(url, "", url)
    *kind, wait_s = run(
        environment, str(HERE / "suites" / "limited" / f"{script}.py"), place=place, account=NOBODY
    ).split()
    assert " ".join(kind) == said or kind == ["RateLimitExceeded"]
    assert 1 <= int(wait_s) <= 60
