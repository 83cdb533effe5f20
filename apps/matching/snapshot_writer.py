"""Snapshots beside trading: a forked child writes, the worker only looks whether it has finished.

The child shares the parent's memory as of the fork (a durable position) and must touch nothing the parent's threads or
connections use: it logs nothing, opens no connection, takes no lock of ours, and leaves by os._exit(), so that no exit
handler, no buffered output and no socket shutdown of the parent runs twice. Signals go back to their defaults in it.
"""

import os
import signal
from pathlib import Path
from typing import Final, Literal

import structlog

from apps.matching import snapshots
from apps.matching.core import Core, CoreClass, Position

log = structlog.get_logger(__name__)

CHILD_NICENESS: Final = 10
EXIT_FAILED: Final = 1
MESSAGE_BYTES_MAX: Final = 400


class SnapshotWriter:
    """At most one child at a time."""

    def __init__(self, directory: Path, core_class: CoreClass) -> None:
        self._directory = directory
        self._core_class = core_class
        self._child: tuple[int, int, Position] | None = None

    @property
    def busy(self) -> bool:
        return self._child is not None

    def start(self, core: Core, position: Position) -> None:
        """Fork a child that writes the snapshot of `position`, which must be durable and the core's own.

        OSError where the system gives no further process or pipe; nothing was started then.
        """
        assert self._child is None, "one snapshot at a time"
        read_end, write_end = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(read_end)
            os.close(write_end)
            raise
        if pid == 0:
            self._write_and_exit(core, position, write_end)
        os.close(write_end)
        self._child = (pid, read_end, position)

    def poll(self) -> tuple[Position, str] | None:
        """None while a child runs or none was started; else (position, "" or why it failed), once."""
        return self._reap(os.WNOHANG)

    def abandon(self) -> None:
        """Kill a running child and wait for it; its half-written file stays for `remove_unfinished`."""
        if self._child is not None:
            os.kill(self._child[0], signal.SIGKILL)
            self._reap(0)

    def _reap(self, options: int) -> tuple[Position, str] | None:
        if self._child is None:
            return None
        pid, read_end, position = self._child
        found, status = os.waitpid(pid, options)
        if found == 0:
            return None
        self._child = None
        message = os.read(read_end, MESSAGE_BYTES_MAX).decode("utf-8", "replace")
        os.close(read_end)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            if message:
                log.error("older snapshots are damaged: look into the disk", what=message)
            return position, ""
        return position, message or f"the writer ended with {code}"

    def _write_and_exit(self, core: Core, position: Position, message_to: int) -> None:
        code: Literal[0, 1] = 0
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.nice(CHILD_NICENESS)
            snapshots.write(self._directory, core, self._core_class, position)
            os.write(message_to, self._damage().encode()[:MESSAGE_BYTES_MAX])
        except BaseException as error:  # noqa: BLE001  the top of a process; the parent reads and logs the reason
            code = EXIT_FAILED
            os.write(message_to, f"{type(error).__name__}: {error}".encode()[:MESSAGE_BYTES_MAX])
        finally:
            os._exit(code)

    def _damage(self) -> str:
        """What was wrong with the older snapshots, which were set aside; the new one is good whatever it is."""
        try:
            return ", ".join(snapshots.set_aside_damaged(self._directory))
        except OSError as error:
            return f"they cannot be set aside: {error}"
