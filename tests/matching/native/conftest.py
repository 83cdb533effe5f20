"""Tests of the compiled engine alone need a compiler; without one they say so."""

import pytest

from apps.matching.native import library
from apps.matching.native.build import NoCompiler


@pytest.fixture(autouse=True)
def compiled() -> None:
    try:
        library.loaded()
    except NoCompiler as error:
        pytest.skip(f"no compiler: {error}")
