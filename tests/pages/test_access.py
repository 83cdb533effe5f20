"""Who gets what at every address of the site: from the table in places.py, and nothing stands beside it (threat-T8)."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.pages.places import (
    ADMIN,
    ADMIN_ADDRESSES,
    API,
    LOGIN,
    MODELS,
    OF_EACH_MODEL,
    SITE,
    WITHOUT_CSRF,
    Answer,
    known_routes,
    routes,
)
from tests.pages.world import World
from tests.sampling import sampled

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
OTHERS = ("PUT", "PATCH", "DELETE", "TRACE", "BREW")


def test_every_route_has_its_row_and_only_one() -> None:
    given = Counter(place.route for place in SITE)
    assert {route for route, count in given.items() if count > 1} == set()
    assert set(routes()) - known_routes() == set(), "add a row to tests/pages/places.py"
    assert known_routes() - set(routes()) == set(), "these are no routes any more"


def answer_of(response: Any, address: str) -> Answer:
    path = address.partition("?")[0]
    if response.status_code == 302 and response["Location"] == f"/account/log-in?{urlencode({'next': path}, safe='/')}":
        return LOGIN
    return int(response.status_code)


def all_addresses(world: World) -> dict[str, str]:
    """Route to an address of it."""
    found = {place.route: world.address(place.address or place.route) for place in SITE}
    found |= {route: world.address(ADMIN_ADDRESSES.get(route, route)) for route in ADMIN}
    for model in MODELS:
        number = {"accounts/user": "{alice}", "accounts/tradingaccount": "{account}", "accounts/apikey": "{key}"}
        for kind in OF_EACH_MODEL:
            route = f"admin/{model}/{kind}"
            found[route] = world.address(route.replace("<path:object_id>", number.get(model, "1")))
    return found


def test_pages_of_the_site(world: World, undone: Any) -> None:
    wrong = []
    for place in SITE:
        address = world.address(place.address or place.route)
        # A superuser is a stranger to what belongs to somebody, and like anybody everywhere else.
        for role in [role for role in world.sessions if role != "root" or place.other is not None]:
            for method, expected in zip(("GET", "POST"), place.expected(role), strict=True):
                with undone():
                    answer = answer_of(world.send(role, method, address), address)
                if answer != expected:
                    wrong.append(f"{role}: {method} {address}: {answer} instead of {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("first", sampled(range(len(OTHERS)), few=1))
def test_no_page_takes_other_methods(world: World, undone: Any, first: int) -> None:
    """One of them at each page, in turn; `make long` has all of them at all pages."""
    wrong = []
    for number, place in enumerate(SITE, first):
        method = OTHERS[number % len(OTHERS)]
        if place.takes_method(method):
            continue
        address = world.address(place.address or place.route)
        for role in ("anonymous", "owner"):
            with undone():
                answer = answer_of(world.client(role).generic(method, address), address)
            if answer not in (405, LOGIN):
                wrong.append(f"{role}: {method} {address}: {answer}")
    assert not wrong, "\n".join(wrong)


def test_the_staff_admin(world: World, undone: Any) -> None:
    """Users and strangers are led to the log-in, staff see nothing without a right, a superuser what MODELS says."""
    addresses = all_addresses(world)
    wrong = []
    for confirmed in ("staff", "root"):
        world.confirmed(confirmed)

    def see(role: str, method: str, route: str, expected: set[Answer]) -> None:
        with undone():
            status = world.client(role).generic(method, addresses[route]).status_code
        if status not in expected:
            wrong.append(f"{role}: {method} {addresses[route]}: {status} instead of {expected}")

    for route, (anonymous, staff, root) in ADMIN.items():
        see("anonymous", "GET", route, {anonymous})
        # Who is logged in and no staff is not sent to the log-in once more.
        see("owner", "GET", route, {403 if route == "admin/login/" else anonymous})
        see("staff", "GET", route, {staff})
        see("root", "GET", route, {root})
    for model, rights in MODELS.items():
        here = {kind: f"admin/{model}/{kind}" for kind in OF_EACH_MODEL}
        for kind, route in here.items():
            see("anonymous", "GET", route, {302})
            # The last leads on to the change page, and the history of what is not there leads back.
            leads = kind.endswith(("/history/", "<path:object_id>/"))
            see("staff", "GET", route, {302, 403} if leads else {403})
        see("owner", "GET", here[""], {302})
        see("owner", "POST", here["<path:object_id>/change/"], {302})
        see("root", "GET", here[""], {200})
        see("root", "GET", here["add/"], {200} if "add" in rights else {403})
        # Without an object of this number the refusal comes first, then the way back to the start page.
        see("root", "POST", here["<path:object_id>/change/"], {200, 302} if "change" in rights else {403})
        see("root", "POST", here["<path:object_id>/delete/"], {200, 302} if "delete" in rights else {403})
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("attack", ["no token", "another token", "another origin", "another page", "no referer"])
def test_unsafe_requests_that_did_not_come_from_a_form_of_ours(world: World, undone: Any, attack: str) -> None:
    """threat-T15: refused at every address, whoever is logged in, and before anything else looks at them."""
    client = world.client("root", token=attack != "no token")
    extra: dict[str, Any] = {
        "no token": {},
        "another token": {"headers": {"X-CSRFToken": "x" * 32}},
        "another origin": {"headers": {"Origin": "https://evil.example"}},
        "another page": {"secure": True, "headers": {"Referer": "https://evil.example/x"}},
        "no referer": {"secure": True},
    }[attack]
    wrong, methods = [], {place.route: place for place in SITE}
    for route, address in all_addresses(world).items():
        admin = route.startswith("admin/")
        if admin and attack != "no token":
            continue
        # The admin knows POST alone; it takes every other method for a GET.
        for method in ("POST",) if admin or attack != "no token" else UNSAFE:
            with undone():
                response = client.generic(method, address, **extra)
            said = b"CSRF_FAILED" if route.startswith(API) else b"form has expired"
            refused = response.status_code == 403 and said in response.content
            # The platform API looks at the method first.
            wanted = route not in WITHOUT_CSRF and (not route.startswith(API) or methods[route].takes_method(method))
            if refused != wanted:
                wrong.append(f"{method} {address}: {response.status_code}")
    assert not wrong, "\n".join(wrong)
