"""Error pages: ours, plain, and without details of the failure."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from nebannpet import urls


def _boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret detail")


urlpatterns = [*urls.urlpatterns, path("boom", _boom)]


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


def test_forged_host_is_refused() -> None:
    response = Client(raise_request_exception=False).get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "This request is malformed" in response.content.decode()
