"""manage.py update_fee_tiers: the accounts' fee tiers by their volume of the last 30 whole days (T11). Once a day."""

from argparse import ArgumentParser
from contextlib import closing
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.common.errors import DomainError
from apps.orders.fee_tiers import check_settled, today, update_fee_tiers
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = (
        "Add up each account's trades of the 30 days before the given one and send the fee tiers that changed to the "
        "engine. Run it once a day; a second run for the same day changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--day", type=date.fromisoformat, help="UTC, today by default; not after today")

    def handle(self, *args: Any, **options: Any) -> None:
        day = options["day"] or today()
        if day > today():
            raise CommandError(f"{day} has not begun, so its volume is not known.")
        try:
            with closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)) as bus:
                check_settled(bus)
            computed = update_fee_tiers(day=day)
        except (BusError, DomainError) as error:
            raise CommandError(f"Nothing was sent: {error}", returncode=2) from error
        self.stdout.write(f"{computed.accounts} accounts traded, {len(computed.changes)} tiers changed")
        for account_id, tier in computed.changes.items():
            self.stdout.write(f"account {account_id}: tier {tier}")
