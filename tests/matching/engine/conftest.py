"""Fixtures of the engine's tests."""

from typing import Any

import pytest

from tests.matching.engine.engines import ENGINE_CLASSES


@pytest.fixture(params=ENGINE_CLASSES)
def engine_class(request: pytest.FixtureRequest) -> Any:
    """Each engine in turn; they have one interface."""
    return ENGINE_CLASSES[request.param]
