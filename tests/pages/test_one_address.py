"""A page at another address than the exchange's own, such as 127.0.0.1 on a laptop, says so: no socket opens there."""

import pytest
from django.conf import settings
from django.test import Client

pytestmark = pytest.mark.django_db
OWN = settings.PUBLIC_ORIGIN.partition("://")[2]
HINT = "Orders and live news come through one address only."


@pytest.mark.parametrize("path", ["/markets?sort=volume", "/account/log-in", "/no-such-page"])
def test_the_page_leads_to_the_address_that_takes_its_sockets(path: str) -> None:
    page = Client(headers={"host": "127.0.0.1:8000"}).get(path).content.decode()
    assert HINT in page
    assert f'href="{settings.PUBLIC_ORIGIN}{path}"' in page
    assert HINT not in Client(headers={"host": OWN}).get(path).content.decode()


def test_after_a_form_it_leads_to_the_first_page() -> None:
    page = Client(headers={"host": "127.0.0.1:8000"}).post("/account/log-in", {}).content.decode()
    assert HINT in page
    assert f'href="{settings.PUBLIC_ORIGIN}/"' in page


def test_a_host_that_is_not_ours_is_named_nowhere() -> None:
    answer = Client(headers={"host": "evil.example"}).get("/markets")
    assert answer.status_code == 400
    assert HINT not in answer.content.decode()
