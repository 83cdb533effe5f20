"""What says 'this set is being restored here', durable from before the first change until the proof."""

import json
import os
from pathlib import Path

from nebannpet.backup import files
from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.manifest import NAME, sync_directory


class Marker:
    """One file in the data directory. `make run` refuses to start while it is there (nebannpet/preflight.py)."""

    def __init__(self, here: Installation, directory: Path) -> None:
        self._path = here.paths.unfinished_restore
        self._directory = directory
        self._digest = files.digest_of(directory / NAME)

    def is_there(self) -> bool:
        """RestoreRefused where the marker is of another set."""
        if not self._path.exists():
            return False
        found = json.loads(self._path.read_bytes())
        if found["digest"] != self._digest:
            raise RestoreRefused(
                f"The restore of another backup ({found['directory']}) broke off in this installation. Finish that one,"
                " or restore into an empty installation."
            )
        return True

    def set(self) -> None:
        content = {"directory": str(self._directory), "digest": self._digest}
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        sync_directory(self._path.parent)

    def remove(self) -> None:
        self._path.unlink()
        sync_directory(self._path.parent)
