#!/usr/bin/env python
"""Every command of the project: `manage.py help` lists them. `run_<name>` starts one process of the exchange."""

import os
import sys

from django.core.management import execute_from_command_line

from nebannpet.env import ConfigurationError
from nebannpet.loading import load_django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    if len(sys.argv) > 1 and sys.argv[1].startswith("run_"):
        os.environ.setdefault("NEBANNPET_PROCESS", sys.argv[1].removeprefix("run_"))
    try:
        load_django()
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(f"nebannpet: {error}")


if __name__ == "__main__":
    main()
