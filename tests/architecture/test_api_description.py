"""The API's description keeps up with the API: every endpoint, parameter, answer, code and stream has its words.

What the description says is held against validation in tests/gateway/test_openapi.py.
"""

import ast
import inspect
from pathlib import Path

import pytest

from apps.gateway import errors
from apps.gateway.openapi import page
from apps.gateway.openapi.codes import ERROR_CODES
from apps.gateway.openapi.document import build
from apps.gateway.openapi.sockets import SESSION_TEXTS, STREAM_TEXTS
from apps.gateway.registry import load
from apps.gateway.streams import names
from apps.gateway.wsapi.session import SESSION_METHODS
from tests.clients.fields import schemas


def test_every_endpoint_and_parameter_has_its_sentence() -> None:
    """What lacks one is named, with the place where it belongs."""
    assert len(build(load())["paths"]) > 40


def test_the_recorded_answers_are_those_of_the_tables() -> None:
    assert schemas.FILE.read_text() == schemas.text(), "run: .venv/bin/python -m tests.clients.fields.schemas"


def test_every_stream_and_session_method_has_its_sentence() -> None:
    assert [row.name for row in page.streams()] == list(STREAM_TEXTS), "in the order of the table"
    assert all(row.meaning.endswith(".") and row.pace and row.fields for row in page.streams())
    assert list(SESSION_TEXTS) == list(SESSION_METHODS)


def test_a_stream_without_its_sentence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "TABLE", (*names.TABLE, ("<symbol>@new",)))
    with pytest.raises(AssertionError, match="<symbol>@new needs a sentence"):
        page.streams()


def test_the_document_has_the_table_of_streams() -> None:
    rows = [
        f"| {', '.join(f'`{name}`' for name in (row.name, *row.others))} | {row.meaning} | {row.pace} |"
        for row in page.streams()
    ]
    table = "\n".join(["| stream | what | how often |", "|---|---|---|", *rows])
    text = (Path(__file__).parents[2] / "docs/streams.md").read_text()
    assert table in text, f"docs/streams.md needs this table:\n{table}"
    for name, values in page.stream_placeholders():
        assert f"`{name}` is one of `{values}`" in text


def refusals_in_source() -> set[tuple[int, int]]:
    """Every (status, code) that errors.py makes."""
    found = {(status, number) for status, number, _ in errors.REFUSALS.values()}
    for node in ast.walk(ast.parse(inspect.getsource(errors))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ApiError":
            try:
                status, number = (ast.literal_eval(argument) for argument in node.args[:2])
            except ValueError:
                continue
            found.add((status, number))
    return found


def test_the_table_of_codes_is_that_of_the_errors() -> None:
    found = refusals_in_source()
    assert len(found) >= 50
    listed = {(status, each.number) for each in ERROR_CODES.values() for status in each.statuses}
    assert found - listed == set(), "apps/gateway/openapi/codes.py lacks these"
    # A cancel-replace that stops beyond the order limit has the limit's status (replacing.py).
    assert listed - found == {(429, -2021), (429, -2022)}, "apps/gateway/openapi/codes.py has these, errors.py does not"
