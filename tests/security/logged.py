"""What a process would have written to its log, as the platform's own configuration writes it."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from nebannpet.logs import configure_logging


@contextmanager
def log_of(style: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """`style` is 'json' or 'console'. Lines of the site, from INFO on."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(process="site", level="INFO", style=style)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**config)
