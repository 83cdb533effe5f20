"""The chaos rig's crash points: they fire once, at the asked pass, and only where the variable is set."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from apps.common.crashpoints import allowed, reach
print(allowed(), flush=True)
for number in range(5):
    reach("other.step.before")
    print(number, flush=True)
    reach("demo.step.after")
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "CRASH_AT"}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=clean | environment, capture_output=True, text=True)


def test_without_the_variable_nothing_happens() -> None:
    done = run()
    assert (done.returncode, done.stdout.split()) == (0, ["False", "0", "1", "2", "3", "4"])


def test_dies_at_the_asked_pass_and_lives_after_the_restart(tmp_path: Path) -> None:
    plan = tmp_path / "crash-at"
    plan.write_text("demo.step.after:3\nnever.reached.before:1\n")
    first = run(CRASH_AT=str(plan))
    assert (first.returncode, first.stdout.split()) == (-signal.SIGKILL, ["True", "0", "1", "2"])
    assert plan.read_text().split() == ["never.reached.before:1"]
    assert run(CRASH_AT=str(plan)).returncode == 0


def test_a_missing_plan_is_an_empty_one(tmp_path: Path) -> None:
    assert run(CRASH_AT=str(tmp_path / "none")).returncode == 0
