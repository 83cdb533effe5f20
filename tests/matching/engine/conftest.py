"""Each test runs on the plain engine and on the compiled one, except those that look inside the plain one.

A test that reads or changes `engine._state`, or puts its own handlers in, by itself or by a function of its module that
it names, is about the plain engine's inside; what the random histories contain is about neither. The name `Engine` of a
test's module, and that of play.py, is the engine under test.
"""

import inspect
import re
import sys
from types import FunctionType
from typing import Any

import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.matching.native import library
from apps.matching.native.build import NoCompiler
from apps.matching.native.engine import Engine as NativeEngine
from tests.matching.engine import play
from tests.matching.engine.engines import ENGINE_CLASSES

INSIDE = re.compile(r"\._state\b|\bHANDLERS\b|\bgc\.|\bbreak_it\(")
PLAIN_MODULES = {"test_histories", "test_invariants", "test_planted", "test_purity"}


def looks_inside(test: FunctionType) -> bool:
    named = [vars(sys.modules[test.__module__]).get(name) for name in test.__code__.co_names]
    helpers = [each for each in named if inspect.isfunction(each) and each.__module__ == test.__module__]
    return any(INSIDE.search(inspect.getsource(each)) for each in (test, *helpers))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    takes_each = "engine_class" in metafunc.fixturenames
    inside = takes_each or module in PLAIN_MODULES or looks_inside(metafunc.function)
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
