"""Where the lines of all processes go: one coloured console, and one bounded file for each process.

The console is written by its own thread through a bounded queue. A terminal that is paused or a pipe that nobody reads
costs lines there (counted and said), never the progress of the exchange: the processes' output is always drained.
"""

import logging.handlers
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

COLOURS = {
    "nebannpet": "1",
    "postgres": "34",
    "redis-core": "31",
    "redis-edge": "35",
    "setup": "90",
    "site": "36",
    "gateway": "32",
    "matching": "33",
    "standby": "33",
    "settlement": "94",
    "archive": "93",
    "marketdata": "96",
    "outbox": "95",
    "reconcile": "37",
    "celery": "90",
    "simulator": "92",
}
NAME_WIDTH = max(len(name) for name in COLOURS)
CONSOLE_QUEUE_LINES = 10_000
FILE_BYTES_MAX = 5_000_000
FILES_KEPT = 3
LINE_CHARS_MAX = 8_000


class _BoundedFile(logging.handlers.RotatingFileHandler):
    """Says once that the disk refuses lines, instead of once a line."""

    complained = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.complained:
            self.complained = True
            print(f"{self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)  # noqa: T201


class Console:
    def __init__(self, logs_dir: Path, stream: TextIO | None = None) -> None:
        self._logs_dir = logs_dir
        self._stream = stream or sys.stdout
        self._colour = "NO_COLOR" not in os.environ and (self._stream.isatty() or "FORCE_COLOR" in os.environ)
        self._files: dict[str, _BoundedFile] = {}
        self._queue: queue.Queue[str | None] = queue.Queue(CONSOLE_QUEUE_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_out, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """A message of the supervisor itself."""
        for line in text.splitlines() or [""]:
            self.line("nebannpet", line)

    def line(self, name: str, text: str) -> None:
        """One line of process `name`, without its newline."""
        text = text[:LINE_CHARS_MAX]
        self._file(name).emit(logging.makeLogRecord({"msg": text}))
        clock = time.strftime("%H:%M:%S")
        label = name.ljust(NAME_WIDTH)
        if self._colour:
            label, clock = f"\x1b[{COLOURS.get(name, '37')}m{label}\x1b[0m", f"\x1b[90m{clock}\x1b[0m"
        try:
            self._queue.put_nowait(f"{clock} {label} {text}\n")
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Flush what the terminal takes within a second."""
        try:
            self._queue.put(None, timeout=1)
            self._thread.join(timeout=1)
        except queue.Full:
            pass  # nobody reads the terminal; the files have every line
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> _BoundedFile:
        if name not in self._files:
            handler = _BoundedFile(
                self._logs_dir / f"{name}.log",
                maxBytes=FILE_BYTES_MAX,
                backupCount=FILES_KEPT,
                encoding="utf-8",
                delay=True,
            )
            formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
            formatter.converter = time.gmtime
            handler.setFormatter(formatter)
            self._files[name] = handler
        return self._files[name]

    def _write_out(self) -> None:
        while (text := self._queue.get()) is not None:
            if self._dropped:
                text = f"... {self._dropped} lines not shown; see {self._logs_dir}\n{text}"
                self._dropped = 0
            try:
                self._stream.write(text)
                if self._queue.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                return  # the terminal is gone; the files go on, and put_nowait drops what nobody takes
