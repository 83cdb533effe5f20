"""What switches are about in these tests: two assets of a class, one of none, and a user."""

import pytest

from apps.accounts.models import User
from apps.audit.actors import Actor, ActorKind
from apps.markets.models import Asset, Market
from apps.markets.services import create_asset, create_market
from tests.accounts.people import PASSWORD
from tests.markets.conftest import TERMS, market_data_is_silent

__all__ = ["market_data_is_silent"]

STAFF = Actor(ActorKind.STAFF, "root@example.org")


@pytest.fixture
def assets(db: None) -> None:
    for number, (code, name, asset_class) in enumerate(
        (("BTC", "Bitcoin", ""), ("USDT", "Tether", "stablecoin"), ("USDC", "USD Coin", "stablecoin")), start=1
    ):
        Asset.objects.create(id=number, code=code, name=name, asset_class=asset_class)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("alice@example.org", PASSWORD)


@pytest.fixture
def market(db: None, market_data_is_silent: None) -> Market:
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    return create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
