"""`manage.py market SYMBOL halt|auction|cancel-only|post-only|open|close --reason TEXT` (T10)."""

import time
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from apps.audit.actors import operator_text
from apps.common.errors import DomainError
from apps.markets.policy import STATE_WAIT_S
from apps.markets.services import MarketAction, set_market_state
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import Reason

POLL_S: Final = 0.05


class Command(BaseCommand):
    help = (
        "Move a market to another state. Who asked, when and why is recorded. Waits until the engine's answer is "
        f"settled, at most {STATE_WAIT_S} s; after that the change stays queued and this says so."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", help="such as BTCUSDT")
        parser.add_argument("action", choices=[action.value for action in MarketAction])
        parser.add_argument("--reason", required=True, help="why; kept with the change")

    def handle(self, *args: Any, symbol: str, action: str, reason: str, **options: Any) -> None:
        try:
            change = set_market_state(
                symbol=symbol,
                action=MarketAction(action),
                reason=reason,
                requested_by=operator_text(),
            )
        except DomainError as error:
            raise CommandError(f"{error.message} Nothing was changed.") from error
        row = self._wait(change.outbox_key)
        if row.state == OutboxState.REFUSED:
            raise CommandError(f"The engine refused: {Reason(row.reason).name}. {symbol} is as it was.")
        if row.state == OutboxState.DONE:
            self.stdout.write(f"{symbol}: {change.get_state_display()} since event {row.event_seq}.")
        else:
            self.stdout.write(
                f"{symbol}: {change.get_state_display()} is queued and happens when the engine, the outbox relay and "
                f"settlement run; they have not answered within {STATE_WAIT_S} s."
            )

    def _wait(self, key: str) -> OutboxRow:
        deadline = time.monotonic() + STATE_WAIT_S
        while True:
            row = OutboxRow.objects.get(key=key)
            if row.state != OutboxState.WAITING or time.monotonic() >= deadline:
                return row
            time.sleep(POLL_S)
