"""The engine under a random sequence of everything, checked after each step; a failure is shrunk and printed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.matching.engine.machine import EngineMachine

SAMPLE = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
LONG = settings(SAMPLE, max_examples=4_000, stateful_step_count=120)


def run(engine_class: Any, chosen: settings) -> None:
    run_state_machine_as_test(type("Machine", (EngineMachine,), {"engine_class": engine_class}), settings=chosen)


def test_every_step_is_sound(engine_class: Any) -> None:
    run(engine_class, SAMPLE)


@pytest.mark.long
def test_every_step_of_long_histories_is_sound(engine_class: Any) -> None:
    run(engine_class, LONG)
