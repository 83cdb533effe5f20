"""One exchange under load for each module of the matrix; each of its tests ends with a full judgement."""

import secrets
from collections.abc import Iterator

import pytest

from tests.chaos.rig import Rig


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    with Rig(seed=seed) as rig:
        yield rig


@pytest.fixture
def rig(shared: Rig) -> Rig:
    """Well, and trading."""
    shared.wait_until_ready()
    shared.crowd.resume()
    shared.wait_until_trading()
    return shared


@pytest.fixture
def own() -> Iterator[Rig]:
    """An exchange for one test alone, which may leave it halted."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    with Rig(seed=seed) as rig:
        yield rig
