"""The page 'Use your bot here' shows docs/bots.md with this exchange's address, and that has every program as it is."""

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from apps.gateway.views import BOTS, EXAMPLE_ORIGIN

EXAMPLES = BOTS.parent / "examples"
CLIENTS = ("ccxt", "ccxt.pro", "python-binance", "binance-connector", "binance-sdk-spot", "freqtrade", "Hummingbot")


def test_the_document_has_every_program_word_for_word() -> None:
    blocks = re.findall(r"^```(?:python|json)\n(.*?)^```$", BOTS.read_text(), re.MULTILINE | re.DOTALL)
    assert sorted(blocks) == sorted(path.read_text() for path in EXAMPLES.iterdir() if path.is_file())


def test_the_document_names_every_program_that_is_to_be_saved() -> None:
    text = BOTS.read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}`" in text


@pytest.mark.django_db
def test_the_page_names_every_client_and_shows_this_exchange_s_address(client: Client) -> None:
    page = client.get(reverse("gateway:bots"))
    text = page.content.decode()
    for name in CLIENTS:
        assert f">{name}</h2>" in text
    assert text.count(settings.PUBLIC_ORIGIN) > 10
    if settings.PUBLIC_ORIGIN != EXAMPLE_ORIGIN:
        assert EXAMPLE_ORIGIN not in text
    assert "os.environ[&quot;API_KEY&quot;]" in text


@pytest.mark.django_db
def test_other_methods_are_refused(client: Client) -> None:
    assert client.post(reverse("gateway:bots")).status_code == 405


@pytest.mark.django_db
def test_the_landing_page_leads_to_it(client: Client) -> None:
    assert 'href="/bots"' in client.get("/").content.decode()
