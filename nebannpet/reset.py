"""`make reset`: deletes the data directory of a stopped exchange, after asking.

Exit codes: 0 deleted or nothing there · 1 not confirmed · 3 it is running.
"""

import contextlib
import os
import shutil
import sys

from apps.streams.shards import SHARD_NUMBERS
from nebannpet.env import ConfigurationError
from nebannpet.paths import Paths
from nebannpet.preflight import EXIT_CONFIGURATION, EXIT_FAILED, PreflightError, lock_data_directory

WORD = "delete"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    try:
        from django.conf import settings

        return reset(Paths(settings.DATA_DIR))
    except ConfigurationError as error:
        print(f"nebannpet: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIGURATION
    except PreflightError as error:
        print(f"nebannpet: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def reset(paths: Paths) -> int:
    """Only a directory that `make run` made is deleted: it holds the supervisor's lock file. All shards go with it."""
    if not paths.lock_file.exists():
        print(f"Nothing to reset: {paths.data_dir} is not a data directory of Nebannpet.")  # noqa: T201
        return 0
    with contextlib.ExitStack() as locks:
        for shard in SHARD_NUMBERS:
            locks.enter_context(lock_data_directory(Paths(paths.data_dir, shard), "make reset"))
        print(f"This deletes every account, order, balance and log in {paths.data_dir}, for good.")  # noqa: T201
        try:
            answer = input(f"Type '{WORD}' to go on: ")
        except EOFError:
            answer = ""
        if answer.strip() != WORD:
            print("\nNothing was deleted.")  # noqa: T201
            return EXIT_FAILED
        paths.remove_short_socket_dir()
        shutil.rmtree(paths.data_dir)
    print("Deleted. make run starts afresh.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
