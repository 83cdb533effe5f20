"""The API's description keeps up with the API: every endpoint, parameter, answer and error code has its words.

What the description says is held against validation in tests/gateway/test_openapi.py.
"""

import ast
import inspect

from apps.gateway import errors
from apps.gateway.openapi.codes import ERROR_CODES
from apps.gateway.openapi.document import build
from apps.gateway.registry import load
from tests.clients.fields import schemas


def test_every_endpoint_and_parameter_has_its_sentence() -> None:
    """What lacks one is named, with the place where it belongs."""
    assert len(build(load())["paths"]) > 40


def test_the_recorded_answers_are_those_of_the_tables() -> None:
    assert schemas.FILE.read_text() == schemas.text(), "run: .venv/bin/python -m tests.clients.fields.schemas"


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
    # -1125 comes with the listen keys.
    assert found - listed == set(), "apps/gateway/openapi/codes.py lacks these"
    assert listed - found <= {(400, -1125)}, "apps/gateway/openapi/codes.py has these, errors.py does not"
