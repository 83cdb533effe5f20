"""Which accounts may have open orders with a label: a strategy (strategyId, strategyType) or an iceberg's icebergQty.

The engine's word on an order's end does not repeat these, so the answer to a cancel reads them from the record. This
knows for whom it is needed, so that nobody else's cancel reads anything.

Invariant: whoever has, or just had, such an order open is told as one who may. These are all accounts until the record
has been read and the events have come as far as that, and from then on those who had one open in the record and those
whose events said so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

import structlog

from apps.gateway.errors import ApiError

log = structlog.get_logger("nebannpet.gateway.labelled")

READ_AGAIN_S: Final = 1.0
NEVER: Final = 2**63


class Label(NamedTuple):
    """`display_lots`: 0 of an order that shows all of itself."""

    strategy_id: int | None = None
    strategy_type: int | None = None
    display_lots: int = 0


NO_LABEL: Final = Label()
# (an event that is no older than what was read, accounts with such an order open)
Found = tuple[int, Iterable[int]]


class Labelled:
    def __init__(self, follows: asyncio.Event, told_to: Callable[[], int]) -> None:
        """`follows` is set once the events are followed; every event up to `told_to()` has been seen."""
        self._follows = follows
        self._told_to = told_to
        # Finds what was durable when it was called, and perhaps newer things. ApiError where it cannot.
        self.read: Callable[[], Awaitable[Found]] | None = None
        # Grows by the events; each account stays, as one that labels its orders goes on doing so.
        self.accounts: set[int] = set()
        self._complete_from = NEVER
        self._wanted = asyncio.Event()
        self._wanted.set()

    def may_be(self, account_id: int) -> bool:
        return account_id in self.accounts or self._told_to() < self._complete_from

    def forget(self) -> None:
        """Events are missing: the record has to be read again."""
        self._complete_from = NEVER
        self._wanted.set()

    async def run(self) -> None:
        """For ever: add what the record has, at the start and whenever events were missing."""
        assert self.read is not None, "it is wired"
        await self._follows.wait()
        is_told = False
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                seq, accounts = await self.read()
            except ApiError as error:
                if not is_told:  # once, not at every attempt
                    log.warning("open orders with a label cannot be read, so every cancel looks", error=str(error))
                is_told = True
                self._wanted.set()
                await asyncio.sleep(READ_AGAIN_S)
                continue
            is_told = False
            self.accounts.update(accounts)
            if not self._wanted.is_set():
                self._complete_from = seq
