"""freqtrade in dry-run, with the configuration of the bot page: it loads markets, follows candles and books, trades."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from apps.gateway.views import EXAMPLE_ORIGIN
from tests.clients.environments import python_of
from tests.clients.recorder import Recorder
from tests.clients.running import HERE, INHERITED
from tests.stack import BASE_DIR, Stack

PATIENCE_S = 300
# Each is a line of its log that comes after a request to the exchange was answered as freqtrade expects it.
SIGNS = ('Using Exchange "Binance"', "LIMIT_BUY has been fulfilled", "LIMIT_SELL has been fulfilled")
COVERED = {"GET /api/v3/exchangeInfo", "GET /api/v3/klines", "GET /api/v3/depth"}


@pytest.mark.long
def test_dry_run(tmp_path: Path) -> None:
    text = (BASE_DIR / "docs" / "examples" / "freqtrade.json").read_text()
    with Stack(SIMULATOR="1") as stack, Recorder(stack.base_url) as recorder, recorder.watch() as record:
        config = json.loads(text.replace(EXAMPLE_ORIGIN, recorder.base_url))
        (tmp_path / "config.json").write_text(json.dumps(config))
        log = tmp_path / "freqtrade.log"
        with log.open("wb") as output:
            bot = subprocess.Popen(
                [
                    str(python_of("freqtrade")), "-m", "freqtrade", "trade", "--config", "config.json",
                    "--strategy", "AlwaysBuy", "--strategy-path", str(HERE / "freqtrade"), "--userdir", ".",
                    "--db-url", "sqlite://",
                ],
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
            )  # fmt: skip
        try:
            for sign in SIGNS:
                wait_for(log, sign, bot)
        finally:
            bot.send_signal(signal.SIGINT)
            bot.wait(timeout=60)
    said = log.read_text()
    assert " - ERROR - " not in said, said[-4000:]
    assert record.distinct_faults() == []
    assert not COVERED - record.calls.keys()


def wait_for(log: Path, sign: str, bot: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while sign not in (said := log.read_text()):
        assert bot.poll() is None, said[-4000:]
        assert time.monotonic() < deadline, f"never said {sign!r}: {said[-4000:]}"
        time.sleep(0.5)
