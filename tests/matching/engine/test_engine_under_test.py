"""A test that says it runs on the compiled engine does, by whatever way it makes its engine (conftest.py)."""

import pytest

from apps.matching.engine import Engine
from tests.matching.engine.play import Table, in_state, play


def test_every_way_to_an_engine_leads_to_the_one_under_test(request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["engine_under_test"]
    table = play("bid b1 alice 50000 0.1")
    restored = Engine.restore(table.engine.snapshot())
    engines = (Engine(1), Table().engine, table.engine, restored, in_state(table.engine, 4))
    assert [engine.NAME for engine in engines] == [name] * len(engines)
