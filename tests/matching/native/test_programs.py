"""Programs without an interpreter: the example, and the replay that runs under the sanitizers.

A warning of the sources fails their builds.
"""

import subprocess
from pathlib import Path

import pytest

from apps.matching.native.build import FAST, HERE, QUICKLY, SANITIZED, NoCompiler, program
from apps.streams.records import EVENT_SIZE
from tests.matching.native.histories import write_history
from tests.oracle.call_auctions import Calls
from tests.oracle.streams import CLOSED_IDS_KEPT, History

EXAMPLES = HERE / "examples"
SAMPLE = 6_000
LONG_SEEDS, LONG_COUNT = range(500, 700), 10_000


@pytest.fixture(scope="module")
def sanitized() -> Path:
    return checked(*QUICKLY)


@pytest.fixture(scope="module")
def sanitized_as_optimised() -> Path:
    return checked("-O1")


def checked(*options: str) -> Path:
    try:
        return program(EXAMPLES / "replay.c", options=[*options, *SANITIZED])
    except NoCompiler as error:
        pytest.skip(f"no compiler with sanitizers: {error}")


def replayed(replay: Path, frames: Path, seed: int, call_max: int, restore_every: int) -> bytes:
    words = [replay, frames, CLOSED_IDS_KEPT, seed, call_max, restore_every]
    done = subprocess.run([str(word) for word in words], capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout


def test_the_example_gives_the_plain_engines_events_one_command_a_call(tmp_path: Path) -> None:
    submit = program(EXAMPLES / "submit.c")
    frames, events = write_history(tmp_path, 11, 3_000)
    with frames.open("rb") as source:
        done = subprocess.run([str(submit)], stdin=source, capture_output=True, check=False)
    # The example keeps a million closed ids and the history's engine few, which old enough repeats would show.
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode() == f"3000 commands, {len(done.stdout) // EVENT_SIZE} events\n"
    assert len(done.stdout) > len(events) // 2


def test_the_example_says_what_is_wrong() -> None:
    submit = program(EXAMPLES / "submit.c")
    done = subprocess.run([str(submit)], input=bytes(128), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"command 0: unknown command version 0, kind 0\n")


@pytest.mark.parametrize("kind", [History, Calls])
@pytest.mark.parametrize(("call_max", "restore_every"), [(300, 1_000), (1, 97)])
def test_nothing_is_read_or_written_outside_on_a_sample(
    sanitized: Path, tmp_path: Path, call_max: int, restore_every: int, kind: type[History]
) -> None:
    frames, events = write_history(tmp_path, 20 + call_max, SAMPLE, kind)
    assert replayed(sanitized, frames, 1, call_max, restore_every) == events


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_nothing_is_read_or_written_outside_on_two_million_commands(
    sanitized_as_optimised: Path, tmp_path: Path, seed: int
) -> None:
    frames, events = write_history(tmp_path, seed, LONG_COUNT, Calls if seed % 4 == 0 else History)
    assert replayed(sanitized_as_optimised, frames, seed, 1 + seed % 300, 50 + seed) == events


@pytest.mark.long
def test_sources_have_no_warnings_when_optimised() -> None:
    assert program(EXAMPLES / "submit.c", options=FAST).exists()
