"""Error pages: ours, plain, and without details of the failure."""

import asyncio

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings

from apps.notifications import shownbanners
from nebannpet import urls


def _boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret detail")


def _away(request: HttpRequest) -> HttpResponse:
    raise OperationalError("connection to server on socket failed")


handler500 = urls.handler500
urlpatterns = [*urls.urlpatterns, path("boom", _boom), path("away", _away)]


@pytest.mark.django_db
def test_not_found() -> None:
    response = Client().get("/no/such/page")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


def test_server_error_needs_no_database_and_tells_no_detail(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    response = Client(raise_request_exception=False).get("/boom")
    page = response.content.decode()
    assert response.status_code == 500
    assert "Something went wrong here" in page
    assert "secret detail" not in page
    assert "Log in" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_database_away_is_a_503_that_says_so(
    settings: Settings, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """T16: the page needs no database and comes with Retry-After; the log has one line, without a traceback."""
    settings.ROOT_URLCONF = __name__
    if asynchronous:
        response = await AsyncClient(raise_request_exception=False).get("/away")
    else:
        response = await asyncio.to_thread(Client(raise_request_exception=False).get, "/away")
    page = response.content.decode()
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert "not available at the moment" in page
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("ERROR", None)]
    assert "socket failed" in caplog.text
    assert "socket failed" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_forged_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the database, as in the site, which has its banners in memory."""
    monkeypatch.setattr(shownbanners._Kept, "banners", ())
    response = Client(raise_request_exception=False).get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "This request is malformed" in response.content.decode()
