"""One directory for all that a run of pytest and its processes leave among temporary files; it goes with the run.

The sockets of data directories with long paths are among that (nebannpet/paths.py), so its own path is short. What
pytest keeps of the last runs, `tmp_path`, stays where it always is.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

# Names the directory to workers of a parallel run: whoever runs first makes it.
VARIABLE: Final = "NEBANNPET_TEST_TEMPORARY"
# The system's own may have a path of 50 bytes, of the 107 that a socket's may have.
SHORT: Final = Path("/tmp")


def make_temporary_dir() -> Path | None:
    """The directory of this run, if this process is the one that makes it and must remove it."""
    if VARIABLE in os.environ:
        return None
    made = Path(tempfile.mkdtemp(prefix="nebannpet-test-", dir=SHORT))
    # As the system's: some tests run processes of other users.
    made.chmod(0o1777)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ |= {VARIABLE: str(made), "TMPDIR": str(made)}
    tempfile.tempdir = None
    return made
