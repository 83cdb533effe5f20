"""Demo accounts of a running exchange, made by one process that stays, instead of a manage.py of its own for each.

    AccountMaker(stack.environment).make("alice", "--fund", "BTC=2")

The process reads the arguments of `manage.py demo_account` as a JSON list a line and answers [output, error] a line.
It ends with its standard input, so also with the process of the tests.
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

BASE_DIR: Final = Path(__file__).resolve().parent.parent


class AccountMaker:
    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.account_maker"], cwd=BASE_DIR, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def make(self, *arguments: str) -> dict[str, Any]:
        """What the command printed; AssertionError with what it said if it refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        output, error = json.loads(self._process.stdout.readline() or '["", "the process has died"]')
        assert error is None, f"demo_account {' '.join(arguments)}: {error}"
        return dict(json.loads(output))

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "nebannpet.settings"
    from nebannpet.loading import load_django

    load_django()
    from django.core.management import call_command
    from django.db import connection

    for line in sys.stdin:
        output = io.StringIO()
        try:
            call_command("demo_account", *json.loads(line), stdout=output)
            error = None
        except Exception as refusal:  # noqa: BLE001  it belongs to the test that asked
            error = repr(refusal)
        finally:
            # PostgreSQL may be stopped and started before the next one.
            connection.close()
        print(json.dumps([output.getvalue(), error]), flush=True)


if __name__ == "__main__":
    main()
