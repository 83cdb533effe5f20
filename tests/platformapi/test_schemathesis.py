"""Requests that schemathesis makes from the description, right and wrong ones: every answer is as described there."""

import json
import random
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode

from nebannpet.platformapi.description import description
from tests.platformapi.conftest import Browser, House, browser_of

EXAMPLES = 5
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def send(browser: Browser, case: Case) -> Any:
    pairs = "&".join(
        f"{quote(name)}={quote(value if isinstance(value, str) else json.dumps(value))}"
        for name, value in (case.query or {}).items()
    )
    if isinstance(case.body, bytes):
        body = case.body
    else:
        body = b"" if isinstance(case.body, schemathesis.core.NotSet) else json.dumps(case.body).encode()
    path = case.formatted_path
    return browser.client.generic(case.method, f"{path}?{pairs}" if pairs else path, body, "application/json")


def check(described: dict[str, Any], case: Case, answer: Any) -> None:
    """Status, content type and body."""
    shown = (case.method, case.formatted_path, case.query, case.body, answer.status_code, answer.content[:500])
    assert answer.status_code != 500, shown
    responses = described["paths"][case.path][case.method.lower()]["responses"]
    listed = responses.get(str(answer.status_code))
    if listed is None:
        assert answer.status_code >= 400, shown
        listed = responses["default"]
    if "content" not in listed:
        assert answer.content == b"", shown
        return
    [(content_type, content)] = listed["content"].items()
    assert answer["Content-Type"] == content_type, shown
    validator = Draft202012Validator({**content["schema"], "components": described["components"]})
    for error in validator.iter_errors(answer.json()):
        raise AssertionError((error.message, shown))


@pytest.mark.long
def test_answers_are_as_described(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for app in ("wallets", "orders"):
        monkeypatch.setattr(f"apps.{app}.api.views.ANSWER_WAIT_S", 0)
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")
    described = json.loads(description())
    statuses: Counter[int] = Counter()
    for result in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = result.ok()
        for mode in MODES:
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue

            @seed(number)
            @settings(
                max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def one(case: Case) -> None:
                mark = transaction.savepoint()
                try:
                    answer = send(browser_of(house.alice, confirmed="password"), case)
                    statuses[answer.status_code] += 1
                    check(described, case, answer)
                finally:
                    transaction.savepoint_rollback(mark)

            one()
    print(statuses)
    assert set(statuses) >= {200, 400, 404}
