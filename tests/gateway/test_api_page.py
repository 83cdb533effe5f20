"""The API page shows what the gateway validates by, and every stream that it names exists."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client as SiteClient
from django.test import override_settings

from apps.gateway.openapi import page
from apps.gateway.openapi.codes import ERROR_CODES
from apps.gateway.openapi.sockets import SESSION_TEXTS
from apps.gateway.registry import load
from apps.gateway.streams import messages, names
from apps.gateway.wsapi.session import SESSION_METHODS
from apps.notifications import shownbanners
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.sockets import Socket

PATH = "/docs/api"


@pytest.fixture(scope="module", autouse=True)
def as_in_the_site() -> Iterator[None]:
    """Which has its banners in memory: the page needs no database."""
    shownbanners.keep(())
    yield
    shownbanners.keep(None)


@pytest.fixture(scope="module")
def html() -> str:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        answer = SiteClient().get(PATH)
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_endpoint_method_parameter_and_code_is_shown(html: str) -> None:
    shown = unescape(html)
    for endpoint in load().all():
        assert f'<code class="wrap-anywhere">{endpoint.path}</code>' in shown
        assert endpoint.ws is None or f"<code>{endpoint.ws}</code>" in shown
        for param in endpoint.params:
            assert f"<code>{param.name}</code>" in shown
    for number in ERROR_CODES:
        assert f'id="error{number}"' in shown
    for name in SESSION_METHODS:
        assert f"<code>{name}</code>" in shown
        assert name in SESSION_TEXTS


def test_it_has_what_the_openapi_document_has(html: str) -> None:
    assert html.count('class="api-endpoint"') == len(load().all())
    assert "LIMIT | LIMIT_MAKER" in unescape(html), "outlines of answers"


def test_anchors_lead_somewhere_and_only_once(html: str) -> None:
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_nothing_inline_and_nothing_foreign(html: str) -> None:
    assert " style=" not in html
    assert "<style" not in html
    assert html.count("<script") == html.count("<script ")
    assert 'src="http' not in html
    assert 'rel="stylesheet" href="http' not in html


@override_settings(ALLOWED_HOSTS=["testserver"])
def test_it_only_answers_reads_and_is_linked() -> None:
    client = SiteClient()
    assert client.post(PATH).status_code == 405
    assert f'<a href="{PATH}">' in client.get(PATH).content.decode()


@override_settings(ALLOWED_HOSTS=["testserver"])
@pytest.mark.parametrize(("factor", "shown"), [(1, "6000"), (100, "600000")])
def test_limits_are_those_in_force(factor: int, shown: str) -> None:
    with override_settings(RATE_LIMIT_FACTOR=factor):
        text = SiteClient().get(PATH).content.decode()
    assert f">{shown}</td>" in text
    assert ("times those of production" in text) is (factor != 1)


@override_settings(ALLOWED_HOSTS=["testserver"])
@pytest.mark.parametrize("gateways", [1, 4])
def test_limits_of_connections_are_those_of_each_process(gateways: int) -> None:
    with override_settings(WEB_CONCURRENCY=gateways):
        text = SiteClient().get(PATH).content.decode()
    assert text.count("address, in each gateway process</td>") == 2
    assert ("and 1200 are the most" in text) is (gateways == 4)


def test_outlines() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"$ref": "#/components/schemas/Money"},
            "b": {"type": "array", "items": {"enum": ["x", "y"]}},
        },
    }
    assert page.outline(schema) == "{\n  a: a decimal text with 8 decimals\n  b?: [x | y, ...]\n}"
    assert page.outline({"type": "object", "additionalProperties": False}) == "{}"
    assert page.outline({"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]}) == "a\nor b"


def fields_of(row: page.StreamRow) -> set[str]:
    return set(re.sub(r"\{.*\}", "", row.fields).split())


def test_every_stream_is_shown(html: str) -> None:
    shown = unescape(html)
    for forms in names.TABLE:
        for form in forms:
            assert f'<code class="api-name">{form}</code>' in shown
    for name, values in names.PLACEHOLDERS.items():
        assert f"<code>{name}</code> is one of <code>{' '.join(values)}</code>" in shown


def test_every_stream_delivers_its_fields(exchange: Exchange, alice: Client, bob: Client) -> None:
    """marketState tells changes only, which has a test of its own (test_market_state_stream.py)."""
    fields = {
        name: fields_of(row)
        for row in page.streams()
        for form in (row.name, *row.others)
        for name in names.names_of(form, "ETHUSDT")
    }
    market = exchange.gateway.markets.get("ETHUSDT")
    assert set(messages.market_state(market, None, None, 0)) == fields.pop("ethusdt@marketState")
    with Socket(f"{exchange.ws_url}/stream?streams={'/'.join(sorted(fields))}") as socket:
        # The answer comes after the streams are subscribed to.
        assert len(socket.control("LIST_SUBSCRIPTIONS")["result"]) == len(fields)
        for client, side in ((alice, "SELL"), (bob, "BUY")):
            client.limit(side, "3000", "0.1", symbol="ETHUSDT")
        alice.limit("SELL", "3001", "0.1", symbol="ETHUSDT")
        missing = set(fields)
        while missing:
            message = socket.until(lambda each: isinstance(each, dict) and each.get("stream") in missing)
            missing.discard(message["stream"])
            data = message["data"][0] if isinstance(message["data"], list) else message["data"]
            assert set(data) == fields[message["stream"]], message
