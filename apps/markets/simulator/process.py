"""The simulator: some participants, one price process, and their accounts kept funded."""

import asyncio
import time
from random import Random
from typing import Final

import structlog
from asgiref.sync import sync_to_async
from django.db import OperationalError, close_old_connections

from apps.markets import demo
from apps.markets.simulator.funding import funds_on_their_way, make_account, refill
from apps.markets.simulator.news import News
from apps.markets.simulator.participants import Maker, MakerStyle, Participant
from apps.markets.simulator.prices import FairPrices
from apps.markets.simulator.takers import Taker
from nebannpet.health import Health

log = structlog.get_logger(__name__)

REFILL_EVERY_S: Final = 120.0
FUNDS_WAIT_S: Final = 15.0
FUNDS_POLL_S: Final = 0.2
WHOLE: Final = 10**8
MAKERS: Final = {
    # Near the price with small orders, and further away with larger ones.
    "simulator-maker-a": MakerStyle(
        grid_ppm=200, gap_ppm=100, levels=10, phase_ppm=0, notional_units=2_500 * WHOLE, post_only=True
    ),
    "simulator-maker-b": MakerStyle(
        grid_ppm=500, gap_ppm=400, levels=14, phase_ppm=50, notional_units=9_000 * WHOLE, iceberg_percent=20
    ),
}
TAKERS: Final = {
    "simulator-taker-a": (400, 300 * WHOLE),
    "simulator-taker-b": (700, 150 * WHOLE),
    "simulator-taker-c": (2_500, 2_000 * WHOLE),
}


class Simulator:
    """`run` until cancelled. `url` is the public WebSocket API."""

    def __init__(self, url: str, start_units: dict[str, int]) -> None:
        self._url = url
        self._random = Random()  # noqa: S311  # nosec B311 # no secret depends on it
        self.news = News(FairPrices(start_units, self._random), demo.MARKETS)
        self.participants: list[Participant] = []

    async def run(self) -> None:
        self.participants = await sync_to_async(self._participants)()
        await self._await_first_funds()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.news.run())
            tasks.create_task(self._keep_funded())
            for participant in self.participants:
                tasks.create_task(participant.run())

    def health(self) -> Health:
        connected = sum(participant.connected for participant in self.participants)
        return Health(
            ok=bool(self.participants) and connected == len(self.participants),
            details={"participants": len(self.participants), "connected": connected},
        )

    def _participants(self) -> list[Participant]:
        makers: list[Participant] = [
            Maker(self._url, make_account(name), self.news, self._random, style) for name, style in MAKERS.items()
        ]
        takers: list[Participant] = [
            Taker(
                self._url, make_account(name), self.news, self._random,
                mean_pause_ms=pause_ms, notional_units=notional_units,
            )
            for name, (pause_ms, notional_units) in TAKERS.items()
        ]  # fmt: skip
        return makers + takers

    async def _await_first_funds(self) -> None:
        """Orders without money would only be refused. Without an engine it goes on after a while and tries anyway."""
        accounts = [participant.credentials.account_id for participant in self.participants]
        await sync_to_async(refill)(accounts)
        deadline = time.monotonic() + FUNDS_WAIT_S
        # Rows that other processes move: there is no event of ours to wait for.
        while await sync_to_async(funds_on_their_way)(accounts) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(FUNDS_POLL_S)

    async def _keep_funded(self) -> None:
        accounts = [participant.credentials.account_id for participant in self.participants]
        while True:
            try:
                credits = await sync_to_async(_refill_once)(accounts)
                if credits:
                    log.info("accounts are funded", credits=credits)
            except OperationalError as error:
                log.warning("funding waits for PostgreSQL", error=str(error))
            await asyncio.sleep(REFILL_EVERY_S)


def _refill_once(accounts: list[int]) -> int:
    """PostgreSQL may have restarted since the last time: a broken connection is not used again."""
    close_old_connections()
    return refill(accounts)
