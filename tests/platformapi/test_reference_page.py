"""The pages about the platform API, and its description as tools read it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import Page, expect

from nebannpet.platformapi.codes import PROBLEMS
from nebannpet.platformapi.description import description
from tests.accounts.test_pages_in_a_browser import Visit, visit
from tests.platformapi.conftest import BASE, House
from tests.platformapi.test_access import RIGHTS

__all__ = ["visit"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "platform-api.md"


def test_the_description_has_every_address_and_no_warning(client: Client) -> None:
    description.cache_clear()
    with GENERATOR_STATS.silence():
        found = json.loads(description())
        complaints = [*GENERATOR_STATS._error_cache, *GENERATOR_STATS._warn_cache]
    assert complaints == []
    OpenAPIV31SpecValidator(found).validate()
    assert found["openapi"] == "3.1.1"
    described = {
        path.removeprefix(f"{BASE}/"): {method.upper() for method in operations}
        for path, operations in found["paths"].items()
    }
    declared = {re.sub(r"<int:(\w+)>", r"{\1}", route): set(rights) for route, rights in RIGHTS.items()}
    del declared["openapi.json"]
    assert described == declared
    assert client.get(f"{BASE}/openapi.json").json() == found


@pytest.mark.django_db
def test_the_page_has_every_error(client: Client) -> None:
    page = client.get("/docs/platform-api")
    assert page.status_code == 200
    for code in PROBLEMS:
        assert f'<tr id="{code}">' in page.content.decode()
    for path in ("/", "/docs/api"):
        assert 'href="/docs/platform-api"' in client.get(path).content.decode()


def test_the_program_of_the_document(house: House, live_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands there, against a real server."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    new = house.trader.new
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ORIGIN", live_server.url), ("API_KEY", new.key.public_key), ("API_SECRET", new.secret)):
            patch.setenv(name, value)
        exec(compile(program, "platform-api.md", "exec"), {})
    assert capsys.readouterr().out == f"{house.main.pk} Main\n{house.desk.pk} Desk\n"


@pytest.mark.django_db(transaction=True)
def test_the_reference_works_under_our_policy(house: House, visit: Visit, client: Client) -> None:
    """Swagger UI: nothing inline, nothing from elsewhere, no violation, and requests in the session with its token."""
    client.force_login(house.alice)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}

    def steps(page: Page, site: str) -> None:
        page.context.add_cookies([{**cookie, "url": site}])  # type: ignore[list-item]
        violations: list[str] = []
        page.on("console", lambda message: "Content Security" in message.text and violations.append(message.text))
        page.goto(f"{site}/docs/platform-api/reference")
        operation = page.locator("#operations-accounts-make_sub_account")
        operation.locator("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.locator("textarea").fill('{"label": "by page"}')
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
        assert violations == []

    visit(steps)
    assert house.alice.trading_accounts.filter(label="by page").exists()
