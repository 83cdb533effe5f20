"""Fields that no form has, posted to every form: they set nothing (issue 7, "mass assignment")."""

from typing import Any

import pytest
from django.forms.models import model_to_dict

from apps.accounts.models import ApiKey, TradingAccount, User
from apps.ledger.models import Balance
from tests.pages.places import SITE, Place
from tests.pages.world import World

# What makes one somebody else, staff or rich; each under the names that a careless form or model would take it by.
EXTRAS = {
    **dict.fromkeys(("is_staff", "is_superuser", "is_active", "is_main", "can_trade_all", "can_withdraw_all"), "on"),
    **dict.fromkeys(("id", "pk", "user", "user_id", "owner", "owner_id", "account", "account_id"), "{bob}"),
    **dict.fromkeys(("groups", "user_permissions", "family_id", "version", "fee_tier"), "1"),
    **dict.fromkeys(("balance", "available", "available_units", "held", "amount"), "1000000"),
    "status": "approved",
    "state": "approved",
    "tier": "vip",
    "email_verified_at": "2020-01-01 00:00:00",
    "revoked_at": "2020-01-01 00:00:00",
    "frozen_at": "2020-01-01 00:00:00",
    "withdrawals_held_until": "2020-01-01 00:00:00",
    "locked_at": "",
    "public_key": "A" * 64,
    "secret_box": "x",
    "session_key": "x" * 32,
}
# Made anew at each post.
TIMES = ("expires_at", "revoked_at", "locked_at", "email_verified_at", "withdrawals_held_until", "frozen_at")
RANDOM = {*TIMES, "password", "public_key", "secret_box", "last_login", "id", "version", "verify_key"}
FORMS = [place for place in SITE if place.form]


def everything() -> list[Any]:
    """Every user, account, key and balance, but for what is random or the time of the change."""
    found: list[Any] = []
    for model in (User, TradingAccount, ApiKey, Balance):
        for row in model._default_manager.order_by("pk"):
            fields = {name: value for name, value in model_to_dict(row).items() if name not in RANDOM}
            times = {name: getattr(row, name, None) is not None for name in TIMES}
            # By name: a number that was undone is not given again.
            if isinstance(row, TradingAccount):
                fields["owner"] = row.owner.email
            if isinstance(row, ApiKey):
                fields["account"] = f"{row.account.label} of {row.account.owner.email}"
            found.append((model.__name__, fields, times))
    return found


@pytest.mark.parametrize("place", FORMS, ids=lambda place: f"/{place.route}")
def test_a_form_takes_its_own_fields_only(world: World, undone: Any, place: Place) -> None:
    role = "anonymous" if place.post == 302 else "owner"
    address = world.address(place.address or place.route)
    before = everything()
    bob = str(world.people["other"].pk)
    outcomes = []
    for extras in ({}, {name: value.replace("{bob}", bob) for name, value in EXTRAS.items() if name not in place.form}):
        with undone():
            answer = world.send(role, "POST", address, {**extras, **place.form})
            outcomes.append((answer.status_code, everything()))
    plain, hostile = outcomes
    assert plain[0] in (200, 302), "the form of places.py is refused: nothing would be tested"
    assert hostile == plain
    assert everything() == before, "what a post did is undone"


def test_the_table_would_notice_a_change(world: World) -> None:
    before = everything()
    User.objects.filter(pk=world.people["owner"].pk).update(is_staff=True)
    assert everything() != before
