"""A low limit of open files for a while, so that a process started meanwhile has to raise its own."""

import contextlib
import resource
from collections.abc import Iterator

LOW = 1_024


@contextlib.contextmanager
def few_open_files() -> Iterator[int]:
    """Yields what a process can raise its limit to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(LOW, soft), hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
