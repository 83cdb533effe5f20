"""How a child process is started through launch.py, and where the packaged binaries and quoted paths come from."""

import sys
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from nebannpet.env import ConfigurationError

LAUNCHER = str(Path(__file__).parent.with_name("launch.py"))


# An order is answered by gateway, redis-core and matching. What only reads what they decided gives way to them where
# cores are few: it still gets a third of a contended core, so nothing falls behind for good.
READER_NICENESS = 5


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started: `stop_signal` on an orderly stop, `death_signal` when the supervisor is killed.

    `niceness` is what nice(1) adds: with fewer cores than busy processes, those with 0 run first.
    """

    argv: tuple[str, ...]
    stop_signal: int
    death_signal: int
    user: tuple[int, int] | None = None
    niceness: int = 0

    def command(self, *, parent: int, pipe: int) -> list[str]:
        """The command line through launch.py; `pipe` is the inherited end of the supervisor's death pipe."""
        command = [sys.executable, "-I", "-S", LAUNCHER, "--parent", str(parent), "--pipe", str(pipe)]
        command += ["--signal", str(self.death_signal), "--nice", str(self.niceness)]
        if self.user is not None:
            command += ["--uid", str(self.user[0]), "--gid", str(self.user[1])]
        return [*command, "--", *self.argv]


def packaged(package: str, path: str) -> Path:
    found = Path(str(distribution(package).locate_file(path)))
    if not found.is_file():
        raise ConfigurationError(f"{path} is missing from the installed package {package}; run make setup again.")
    return found


def quoted(path: Path) -> str:
    """A path for redis.conf and for libpq's keyword strings, which may hold spaces and quotes."""
    text = str(path)
    if not set(text) & set(" '\"\\"):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
