"""Where the whole exchanges of one test run live, and a database for them as `manage.py set_up` leaves it.

Making a cluster and migrating it is a third of what the start of an exchange costs, so it is made once a run, then
copied. All else is as always: set_up runs too, and finds its work done as at any second start. Tests of the first start
do without (tests/nebannpet/test_supervisor.py).

The directory is in memory where there is room for it, so that no exchange waits for a disk. What stands there outlives
every kill -9, all that tests of whole exchanges do; those that cut the power (tests/corruption) have directories too.

All workers of a run share the directory: whoever runs first makes it (tests/conftest.py) and removes it at the end.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import psutil

from nebannpet.embedded import Postgres, wait_until_ready
from nebannpet.paths import Paths

BASE_DIR: Final = Path(__file__).resolve().parent.parent
# Names the run's directory to its workers.
VARIABLE: Final = "NEBANNPET_TEST_RUN_DIR"
MEMORY: Final = Path("/dev/shm")
# An exchange of a test takes about 100 MB.
FREE_BYTES_MIN: Final = 4 * 2**30


def make_run_dir(*, in_memory: bool) -> Path | None:
    """The directory of this run, if this process is the one that makes it and must remove it."""
    if VARIABLE in os.environ:
        return None
    made = Path(tempfile.mkdtemp(prefix="nebannpet-run-", dir=MEMORY if in_memory and _has_room() else None))
    # The servers' users must get through to what is theirs.
    made.chmod(0o711)
    os.environ[VARIABLE] = str(made)
    return made


def run_dir() -> Path | None:
    """None outside a run of pytest, as in `make chaos`."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def _has_room() -> bool:
    if not os.access(MEMORY, os.W_OK):
        return False
    return min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) >= FREE_BYTES_MIN


def copy_prepared(data_dir: Path, environment: dict[str, str]) -> None:
    """Put a prepared cluster into `data_dir`, an empty one, for an exchange with `environment`."""
    place = run_dir()
    if place is None:
        return
    demo_data = environment.get("DEMO_DATA", "1")
    source = place / f"prepared-{demo_data}"
    with (place / f"{source.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not source.exists():
            _prepare(source, environment | {"SIMULATOR": "0"})
    shutil.copytree(source, Postgres(Paths(data_dir)).directory)


def _prepare(source: Path, environment: dict[str, str]) -> None:
    """A cluster at rest in `source`, which is there only when it is whole."""
    data_dir = Path(tempfile.mkdtemp(dir=source.parent))
    paths = Paths(data_dir)
    paths.make_private()
    postgres = Postgres(paths, durable=False)
    postgres.prepare()
    read_end, write_end = os.pipe()
    log = paths.logs_dir / "postgres.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            postgres.launch.command(parent=os.getpid(), pipe=read_end),
            pass_fds=(read_end,),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_ready(postgres)
        postgres.ensure_database()
        done = subprocess.run(
            [sys.executable, str(BASE_DIR / "manage.py"), "set_up"],
            cwd=BASE_DIR, env=environment | {"NEBANNPET_DATA": str(data_dir)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{log.read_text()}"
    finally:
        server.send_signal(postgres.launch.stop_signal)
        assert server.wait(timeout=60) == 0, log.read_text()
        os.close(read_end)
        os.close(write_end)
    postgres.directory.rename(source)
    paths.remove_short_socket_dir()
    shutil.rmtree(data_dir)
