"""Every page that refuses for too many attempts says in Retry-After when to come back: the time that its words name."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import TotpFactor
from apps.accounts.policy import CODE_FAILURES_IN_A_ROW_MAX
from tests.accounts.authenticator import Passkey
from tests.accounts.factors import confirm_now, password_step, with_app
from tests.accounts.mailbox import link_to
from tests.accounts.passkeys import HOST, asked
from tests.accounts.people import PASSWORD
from tests.pages.places import PAGES, PRIVATE, Place
from tests.pages.world import TOKEN, World

LIMITS = (
    "throttle.FAILURES_PER_NETWORK_MAX", "links.LINKS_PER_NETWORK_MAX", "codes.CODE_FAILURES_MAX",
    "passkeychallenges.PASSKEY_CHALLENGES_PER_NETWORK_MAX", "ownfile.OWN_FILES_PER_WINDOW_MAX",
    "tickets.TICKETS_PER_SESSION_MAX",
)  # fmt: skip
# Of whoever is logged in.
OWN = [place for place in PAGES if place.anonymous is PRIVATE or "ticket" in place.route]
TICKETS = {"trade/ticket": "60", "trade/ticket/<int:account_id>": "60"}
PASSWORD_PAGES = (
    "account/api-keys", "account/api-keys/<int:key_id>/networks", "account/close", "account/confirm-it-is-you",
    "account/email", "account/mail-phrase", "account/password", "account/sub-accounts/<int:account_id>/api-keys",
)  # fmt: skip


@pytest.fixture
def no_more(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Called, it uses up every limit for everybody."""

    def use_up() -> None:
        for limit in LIMITS:
            monkeypatch.setattr(f"apps.accounts.services.{limit}", 0)

    return use_up


def browser(world: World, role: str) -> Client:
    """At the address that passkeys work at."""
    client = world.client(role)
    client.defaults["HTTP_HOST"] = HOST
    return client


def refused(
    world: World, undone: Any, client: Client, places: Iterable[Place] = PAGES, **fields: str
) -> dict[str, str | None]:  # fmt: skip
    """Those of `places` that answer 429 to their form with `fields`, and Retry-After of each."""
    found = {}
    for place in places:
        form = {"csrfmiddlewaretoken": TOKEN, **place.form, **fields}
        with undone():
            answer = client.post(world.address(place.address or place.route), form)
        if answer.status_code == 429:
            found[place.route] = answer.get("Retry-After")
    return found


def test_of_somebody_who_is_not_logged_in(world: World, undone: Any, no_more: Any) -> None:
    client = browser(world, "anonymous")
    passkey = Passkey().shown(asked(client, "log-in"))
    no_more()
    assert refused(world, undone, client, purpose="log-in", passkey=passkey) == {
        "account/forgot-password": "3600", "account/let-me-in": "3600", "account/sign-up": "3600",
        "account/log-in": "900", "account/confirm/<str:token>": "900", "login/passkey": "900",
        "login/passkey/options": "300",
    }  # fmt: skip


def test_of_a_second_step_and_the_way_around_it(world: World, no_more: Any) -> None:
    alice, client = world.people["owner"], browser(world, "anonymous")
    with_app(alice)
    password_step(client, alice)
    client.post("/account/log-in/lost")
    recovery = link_to(alice.email)
    no_more()
    for page, code in (("/account/log-in/code", "123456"), (recovery, "AAAA-AAAA-AAAA-AAAA")):
        answer = client.post(page, {"code": code})
        assert (answer.status_code, answer["Retry-After"]) == (429, "900")


def test_of_pages_that_ask_for_the_password(world: World, undone: Any, no_more: Any) -> None:
    no_more()
    found = refused(world, undone, browser(world, "owner"), OWN, purpose="confirm", password=PASSWORD)
    assert found == dict.fromkeys(PASSWORD_PAGES, "900") | TICKETS | {"account/passkeys/options": "300"}


def test_of_pages_that_ask_for_a_code(world: World, undone: Any, no_more: Any) -> None:
    alice, client = world.people["owner"], browser(world, "owner")
    with_app(alice)
    confirm_now(client)
    no_more()
    found = refused(world, undone, client, OWN, purpose="confirm", code="123456", can_trade="on", can_withdraw="on")
    coded = ("api-keys", "close", "confirm-it-is-you", "password", "sub-accounts/<int:account_id>/api-keys")
    assert found == dict.fromkeys((f"account/{page}" for page in coded), "900") | TICKETS | {
        "account/email": "3600", "account/own-data": "3600", "account/passkeys/options": "300"
    }  # fmt: skip


def test_where_waiting_does_not_help_nothing_says_so(world: World) -> None:
    """A new password does (services/codes.py)."""
    alice, client = world.people["owner"], browser(world, "owner")
    with_app(alice)
    TotpFactor.objects.update(failures_in_a_row=CODE_FAILURES_IN_A_ROW_MAX)
    answer = client.post("/account/confirm-it-is-you", {"csrfmiddlewaretoken": TOKEN, "code": "123456"})
    assert (answer.status_code, answer.get("Retry-After")) == (429, None)
    assert "Set a new one by e-mail" in answer.content.decode()
