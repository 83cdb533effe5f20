"""Lists whose legs leave while a sweep runs: model and engines agree, and a run prints what its sweep prints."""

from typing import Any

import pytest

from apps.matching.engine import Engine, limit, market_order
from apps.matching.engine.book import Order
from apps.matching.engine.budget import Budget
from apps.matching.engine.reach import FirstPrint, Prints
from apps.matching.engine.state import State
from apps.matching.native.build import built
from tests.oracle.agreement import agree
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES, oracle
from tests.oracle.leaving_legs import Legs
from tests.oracle.streams import CLOSED_IDS_KEPT

SEED = 21


@pytest.mark.parametrize("engine", ["plain", "native"])
def test_model_and_engine_agree(engine: str) -> None:
    if engine == "native" and built() is None:
        pytest.skip("no compiler")
    for checked in agree(f"legs {SEED}", Legs(SEED), 2_000, oracle, ENGINES[engine]):
        checked.validate()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5_000, 5_100))
def test_the_engines_agree_on_a_million_commands(seed: int) -> None:
    differ(seed, 10_000, ENGINES["plain"], ENGINES["native"], kind=Legs, longest_call=60)


def test_a_run_prints_what_its_sweep_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """In lots and in quote units: of a FOK that fills, a market buy by quantity and a sell by budget."""
    run: list[tuple[Order, Prints]] = []  # of the order that is being placed
    compared, ended = 0, 0

    def remember(real: Any) -> Any:
        def would_print(state: State, order: Order, worst_key: int, **budget: int) -> Prints:
            run[:] = [(order, real(state, order, worst_key, **budget))]
            return run[0][1]

        return would_print

    def compare(real: Any) -> Any:
        def sweep(state: State, order: Order, worst_key: int, budget: Budget | None = None) -> Any:
            before = order.filled_lots, order.filled_quote_units
            stopped_by = real(state, order, worst_key, budget)
            if run and run[0][0] is order:
                nonlocal compared
                compared += 1
                assert run.pop()[1] == (order.filled_lots - before[0], order.filled_quote_units - before[1])
            return stopped_by

        return sweep

    def count(real: Any) -> Any:
        def has_ended(first: FirstPrint, order: Order) -> Any:
            nonlocal ended
            answer = real(first, order)
            ended += answer
            return answer

        return has_ended

    for module in (limit, market_order):
        monkeypatch.setattr(module, "would_print", remember(vars(module)["would_print"]))
        monkeypatch.setattr(module, "sweep", compare(vars(module)["sweep"]))
    monkeypatch.setattr(FirstPrint, "has_ended", count(FirstPrint.has_ended))
    for seed in range(4):
        history, engine = Legs(seed), Engine(CLOSED_IDS_KEPT)
        for _ in range(2_000):
            frames, skip = history.next()
            history.hear(engine.process(frames) if skip is None else engine.skip(frames, skip))
    assert compared > 100
    assert ended > 20
