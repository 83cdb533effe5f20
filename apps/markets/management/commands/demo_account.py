"""`manage.py demo_account NAME --fund ASSET=AMOUNT ... [--staff]`: an account to try the exchange with."""

import json
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.services.demo import make_demo_account
from apps.audit.actors import acting
from apps.audit.services import record
from apps.common.amounts import AmountError, parse_decimal
from apps.common.errors import DomainError
from apps.ledger.services import credit
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import Reason

WAIT_S: Final = 10
POLL_S: Final = 0.05


class Command(BaseCommand):
    help = (
        "Make a demo account and print it as one line of JSON: email, password, totp_secret (base32, for an "
        "authenticator app; totp_code prints its codes), api_key, api_secret, account_id. NAME is an e-mail address, "
        "or a name at demo.example.com. An existing demo account keeps its account id and balances; it gets a new "
        "password, a new totp_secret and, in place of its demo key, a new key, and --fund adds to what it has. "
        "Ordinary accounts are refused. Nothing is made when an argument is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="e-mail address, or a name")
        parser.add_argument(
            "--fund", nargs="+", action="extend", default=[], metavar="ASSET=AMOUNT", help="such as USDT=10000 BTC=0.5"
        )
        parser.add_argument("--staff", action="store_true", help="may open the staff admin, with all rights")

    def handle(self, *args: Any, name: str, fund: list[str], staff: bool, **options: Any) -> None:
        if settings.ENVIRONMENT == "production":
            raise CommandError("demo_account is for development; production refuses it. Nothing was made.")
        amounts = _parse_funds(fund)
        # Each run funds anew, so each has its own business keys.
        run = secrets.token_hex(8)
        try:
            with transaction.atomic():
                account = make_demo_account(name=name, is_staff=staff)
                rows = [
                    credit(
                        account_id=account.account_id,
                        asset_id=asset.pk,
                        amount_units=amount_units,
                        key=f"demo:{account.account_id}:{asset.pk}:{run}",
                    )
                    for asset, amount_units in amounts
                ]
                record(
                    actor=acting(),
                    action="demo.account",
                    object=f"account:{account.account_id}",
                    after={"staff": staff, "funds": {asset.code: str(units) for asset, units in amounts}},
                )
        except DomainError as error:
            raise CommandError(f"{error.message} Nothing was made.") from error
        settled = self._wait(rows)
        self.stdout.write(
            json.dumps(
                {
                    "email": account.email,
                    "password": account.password,
                    "totp_secret": account.totp_secret,
                    "api_key": account.api_key,
                    "api_secret": account.api_secret,
                    "account_id": account.account_id,
                }
            )
        )
        _refuse_if_any_refused(settled)

    def _wait(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """The rows as they are when all are settled, or after WAIT_S; then stderr says that the money comes later."""
        ids = [row.pk for row in rows]
        deadline = time.monotonic() + WAIT_S
        while True:
            current = list(OutboxRow.objects.filter(pk__in=ids))
            waiting = sum(row.state == OutboxState.WAITING for row in current)
            if not waiting:
                return current
            if time.monotonic() >= deadline:
                self.stderr.write(
                    f"{waiting} of {len(ids)} fundings are not settled after {WAIT_S} s: the engine, the outbox relay "
                    "or settlement is not running. The account works; the money arrives when they do (make run)."
                )
                return current
            time.sleep(POLL_S)


def _parse_funds(fund: Iterable[str]) -> list[tuple[Asset, int]]:
    """(asset, units) for each ASSET=AMOUNT; CommandError names the wrong one."""
    assets = {asset.code: asset for asset in Asset.objects.all()}
    found: dict[str, int] = {}
    for text in fund:
        code, separator, amount = text.partition("=")
        if not separator:
            raise CommandError(f"--fund takes ASSET=AMOUNT, not {text!r}. Nothing was made.")
        if code not in assets:
            known = ", ".join(sorted(assets)) or "none; run migrate and load the demo data first"
            raise CommandError(f"There is no asset {code!r}. Known assets: {known}. Nothing was made.")
        if code in found:
            raise CommandError(f"--fund names {code} twice. Nothing was made.")
        try:
            found[code] = parse_decimal(amount)
        except AmountError as error:
            raise CommandError(
                f"{amount!r} is not an amount of {code}: digits with at most 8 decimals after a point, such as 0.5. "
                "Nothing was made."
            ) from error
        if found[code] == 0:
            raise CommandError(f"--fund {code} needs an amount above 0. Nothing was made.")
    return [(assets[code], units) for code, units in found.items()]


def _refuse_if_any_refused(rows: Iterable[OutboxRow]) -> None:
    refused = [f"{row.key} ({Reason(row.reason).name})" for row in rows if row.state == OutboxState.REFUSED]
    if refused:
        raise CommandError(f"The account is made, but the engine refused funding: {', '.join(refused)}.")
