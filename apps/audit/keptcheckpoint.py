"""The last checkpoint that was signed here, in a file: who can write SQL only cannot cut the log back behind it.

It is written after the step is committed, so after a kill it may be older than the database, never newer.
"""

import os
from pathlib import Path

from apps.audit.errors import KeyUnusable


class KeptCheckpoint:
    """AUDIT_HEAD_FILE. Only the sequencer reads and writes it. Raises KeyUnusable where the system refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """The signed note; None where nothing has been signed here yet."""
        try:
            return self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise KeyUnusable(f"AUDIT_HEAD_FILE: {self.path} holds no checkpoint.") from error
        except OSError as error:
            raise KeyUnusable(f"AUDIT_HEAD_FILE: {self.path} cannot be read: {error.strerror}.") from error

    def write(self, note: str) -> None:
        """On disk when this returns, whole or not at all."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise KeyUnusable(f"AUDIT_HEAD_FILE: {self.path} cannot be written: {error.strerror}.") from error
