"""The token of a mailed link is in no log line, whatever is answered to it: a link lets one in."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, reverse
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.services.links import PAGES
from nebannpet import urls
from tests.accounts.mailbox import link_to, submit, token_of
from tests.security.logged import log_of

CANARY = "canary-" + "x" * 36


def _boom(request: HttpRequest, token: str) -> HttpResponse:
    raise RuntimeError(f"a failure that names {request.path}")


handler500 = urls.handler500
urlpatterns = [path("account/reset-password/<str:token>", _boom), *urls.urlpatterns]


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process would have written to standard error."""
    with log_of(request.param, monkeypatch) as stream:
        yield stream


@pytest.mark.django_db
def test_a_link_that_still_lets_one_in(alice: User, written: io.StringIO) -> None:
    submit(Client(), "/account/forgot-password", email=alice.email)
    link = link_to(alice.email)
    assert submit(Client(), link, new="short").status_code == 422
    assert Client(enforce_csrf_checks=True).post(link, {"new": "x"}).status_code == 403
    assert Client().get(f"{link}.").status_code == 410
    assert Client().get(f"{link}/").status_code == 404
    assert token_of(link) not in written.getvalue()
    assert written.getvalue().count("/account/reset-password/[token]") == 4
    assert Client().post(link, {"new": "a new good password"}).status_code == 302, "it was a live one"


def test_a_failure_of_ours(written: io.StringIO, settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    assert Client(raise_request_exception=False).get(f"/account/reset-password/{CANARY}").status_code == 500
    assert "a failure that names /account/reset-password/[token]" in written.getvalue()
    assert CANARY not in written.getvalue()


@pytest.mark.parametrize("page", [*PAGES.values(), "accounts:lock"])
def test_every_page_of_links_in_a_line_of_our_own(page: str, written: io.StringIO) -> None:
    address = reverse(page, args=[CANARY])
    structlog.get_logger("apps.gateway").warning(
        "the site did not answer", path=address, next=f'"?next={address}&x=1" "{address}"'
    )
    line = written.getvalue()
    assert "the site did not answer" in line
    assert not line.startswith("{") or '&x=1" "/account/' in json.loads(line)["next"]
    assert CANARY not in written.getvalue()


def test_other_paths_are_told(written: io.StringIO) -> None:
    structlog.get_logger("apps.gateway").warning("the site did not answer", path="/account/api-keys/7/revoke")
    assert "/account/api-keys/7/revoke" in written.getvalue()
