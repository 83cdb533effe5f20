"""What passkeys are bound to (nebannpet/relyingparty.py)."""

import pytest

from nebannpet.env import ConfigurationError
from nebannpet.relyingparty import relying_party


@pytest.mark.parametrize(
    ("origin", "named", "expected"),
    [
        ("http://localhost:8000", "", ("localhost", "http://localhost:8000")),
        ("https://trade.exchange.example", "", ("trade.exchange.example", "https://trade.exchange.example")),
        ("https://trade.exchange.example", "exchange.example", ("exchange.example", "https://trade.exchange.example")),
        # Where browsers have no passkeys: only development has such origins.
        ("http://127.0.0.1:8000", "", ("localhost", "http://localhost:8000")),
        ("http://laptop.lan", "", ("localhost", "http://localhost")),
        ("https://[2001:db8::1]:8443", "", ("localhost", "http://localhost:8443")),
    ],
)
def test_id_and_origin(origin: str, named: str, expected: tuple[str, str]) -> None:
    assert relying_party(origin, named) == expected


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        ("https://exchange.example", "trade.exchange.example"),
        ("https://exchange.example", "example"),
        ("https://exchange.example", "change.example"),
        ("http://127.0.0.1:8000", "localhost"),
    ],
)
def test_names_that_browsers_would_refuse(origin: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match="PASSKEY_RP_ID"):
        relying_party(origin, named)
