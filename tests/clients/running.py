"""Starts the checks of one client inside its environment, and scripts as a user would start them."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.environments import python_of
from tests.dialect import Account

HERE: Final = Path(__file__).resolve().parent
TIMEOUT_S: Final = 300
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses of what a client talks to, and of the exchange itself."""

    base_url: str
    ws_url: str
    exchange_url: str


def run_checks(
    environment: str,
    folder: str,
    place: Place,
    account: Account,
    other: Account,
    *extra: str,
    **more: str,
) -> str:
    """All checks of suites/`folder`; AssertionError with their output if one fails."""
    return run(
        environment,
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib",
        "-c", str(HERE / "suites" / "pytest.ini"), "--rootdir", str(HERE / "suites"), str(HERE / "suites" / folder),
        *extra,
        place=place, account=account, other=other, **more,
    )  # fmt: skip


def run(
    environment: str, *arguments: str, place: Place, account: Account, other: Account | None = None, **more: str
) -> str:
    """Standard output of the environment's Python with these arguments."""
    variables = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "BASE_URL": place.base_url,
        "WS_URL": place.ws_url,
        "EXCHANGE_URL": place.exchange_url,
        "API_KEY": account.api_key,
        "API_SECRET": account.api_secret,
        **more,
    }
    if other is not None:
        variables |= {"OTHER_API_KEY": other.api_key, "OTHER_API_SECRET": other.api_secret}
    done = subprocess.run(
        [str(python_of(environment)), *arguments],
        env=variables,
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{environment}: code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
