"""Each test runs on the plain engine and on the compiled one, except those that look inside the plain one.

A test that reads or changes `engine._state`, or puts its own handlers in, is about the plain engine's inside. The name
`Engine` of a test's module, and that of play.py, is the engine under test.
"""

import inspect
import re
from typing import Any

import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.matching.native import library
from apps.matching.native.build import NoCompiler
from apps.matching.native.engine import Engine as NativeEngine
from tests.matching.engine import play
from tests.matching.engine.engines import ENGINE_CLASSES

INSIDE = re.compile(r"\._state\b|\bHANDLERS\b|\bgc\.")
PLAIN_MODULES = {"test_invariants", "test_planted", "test_purity"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    takes_each = "engine_class" in metafunc.fixturenames
    inside = takes_each or module in PLAIN_MODULES or INSIDE.search(inspect.getsource(metafunc.function))
    engines = ["plain"] if inside else ["plain", "native"]
    metafunc.parametrize("engine_under_test", engines, indirect=True)


@pytest.fixture(params=ENGINE_CLASSES)
def engine_class(request: pytest.FixtureRequest) -> Any:
    """Each engine in turn, for tests that make their own; they have one interface."""
    return ENGINE_CLASSES[request.param]


@pytest.fixture(autouse=True)
def engine_under_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        return
    try:
        library.loaded()
    except NoCompiler as error:
        pytest.skip(f"no compiler: {error}")
    for module in (request.module, play):
        if getattr(module, "Engine", None) is PlainEngine:
            monkeypatch.setattr(module, "Engine", NativeEngine)
