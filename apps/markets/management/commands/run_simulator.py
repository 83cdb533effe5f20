"""`manage.py run_simulator`: makes the demonstration's markets live, through the public API like anyone."""

import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.markets import demo
from apps.markets.models import Candle, Market
from apps.markets.simulator.prices import NUMERAIRE
from apps.markets.simulator.process import Simulator
from nebannpet.health import serve_health

_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # nosec B104 # an address to translate
# Where a listener on all addresses is reached from this machine.
_REACHED_AT: Final = {_EVERYWHERE: "127.0.0.1", "::": "::1"}


class Command(BaseCommand):
    help = "Trade on the demonstration's markets as several simulated participants. Never in production."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url", default=None, help="the WebSocket API; without it the gateway at HOST and PORT of this machine"
        )

    def handle(self, *args: Any, url: str | None, **options: Any) -> None:
        if settings.ENVIRONMENT == "production" or not settings.SIMULATOR:
            raise CommandError("The simulator is for development; production settings and SIMULATOR=0 refuse it.")
        simulator = Simulator(url or own_url(settings.HOST, settings.PORT), last_prices())
        with serve_health("simulator", simulator.health), contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_until_stopped(simulator))


def own_url(host: str, port: int) -> str:
    """Where a gateway that listens on `host` is reached from this machine."""
    reached = _REACHED_AT.get(host, host)
    return f"ws://{f'[{reached}]' if ':' in reached else reached}:{port}/ws-api/v3"


def last_prices() -> dict[str, int]:
    """Where the markets against the numeraire stand, in 10^-8, so that a restart goes on from there."""
    found = {}
    symbols = {market.symbol: market for market in demo.MARKETS if market.quote == NUMERAIRE}
    for market in Market.objects.filter(symbol__in=symbols):
        candle = Candle.objects.filter(market_id=market.pk, interval="1m").order_by("-open_ms").first()
        if candle is not None:
            found[symbols[market.symbol].base] = candle.close_ticks * market.tick_size
    return found


async def _until_stopped(simulator: Simulator) -> None:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await simulator.run()
