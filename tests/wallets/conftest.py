"""A user with a sub-account, and another user; two assets. No engine answers."""

import time
from typing import NamedTuple

import pytest
from django.test import Client

from apps.accounts.models import TradingAccount, User
from apps.accounts.selectors import main_account
from apps.accounts.services.subaccounts import create_sub_account
from apps.markets.models import Asset
from tests.accounts.people import PASSWORD


class House(NamedTuple):
    user: User
    main: TradingAccount
    desk: TradingAccount
    foreign: TradingAccount


@pytest.fixture
def house(db: None) -> House:
    user, other = (User.objects.create_user(f"{name}@example.org", PASSWORD) for name in ("alice", "bob"))
    Asset.objects.create(id=1, code="BTC", name="Bitcoin")
    Asset.objects.create(id=2, code="USDT", name="Tether USD")
    desk = create_sub_account(user_id=user.pk, label="Desk")
    return House(user, main_account(user_id=user.pk), desk, main_account(user_id=other.pk))


@pytest.fixture
def page(house: House) -> Client:
    """A browser in which alice is logged in and has confirmed to be there, by her password."""
    client = Client()
    client.force_login(house.user)
    confirmed(client, "password")
    return client


def confirmed(client: Client, proof: str) -> None:
    session = client.session
    session["step_up"] = {"at_s": int(time.time()), "by": proof}
    session.save()
