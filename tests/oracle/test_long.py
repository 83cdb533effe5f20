"""Ten million commands: the model and each engine, a process for each and other seeds."""

import subprocess
import sys

import pytest

COMMANDS = 10_000_000
ENGINES = ("plain", "native")
FIRST_SEED = 1_000_000


@pytest.mark.long
def test_model_and_engines_agree_on_ten_million_commands() -> None:
    share = COMMANDS // len(ENGINES)
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.oracle.against_model", engine),
                *("--commands", str(share), "--first-seed", str(FIRST_SEED + number * share)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, engine in enumerate(ENGINES)
    ]
    outputs = [process.communicate()[0] for process in running]
    print("\n".join(outputs))
    assert [process.returncode for process in running] == [0] * len(ENGINES)
