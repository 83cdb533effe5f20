"""Ten million commands: model and engine in two processes over the seeds."""

import subprocess
import sys

import pytest

COMMANDS = 10_000_000
PROCESSES = 2
FIRST_SEED = 1_000_000


@pytest.mark.long
def test_model_and_engine_agree_on_ten_million_commands() -> None:
    share = COMMANDS // PROCESSES
    command = [sys.executable, "-m", "tests.oracle.against_model", "plain", "--commands", str(share)]
    running = [
        subprocess.Popen(
            [*command, "--first-seed", str(FIRST_SEED + number * share)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    outputs = [process.communicate()[0] for process in running]
    print("\n".join(outputs))
    assert [process.returncode for process in running] == [0] * PROCESSES
