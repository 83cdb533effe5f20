"""`manage.py switch [KIND start|end [--asset CODE | --asset-class NAME | --user WHO] --reason TEXT]` (W7, W3, A9)."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.audit.actors import named, operator_text
from apps.common.errors import DomainError
from apps.controls.halts import halts
from apps.controls.kinds import Kind, Scope
from apps.controls.selectors import in_force
from apps.controls.services import set_switch

MINUTES_MAX: Final = 365 * 24 * 60
_SCOPES: Final = {"asset": Scope.ASSET, "asset_class": Scope.ASSET_CLASS, "user": Scope.USER}


class Command(BaseCommand):
    help = (
        "Start or end a suspension, a freeze or a flag; for the whole platform unless an asset, a class or a user is "
        "named. It counts for every decision from then on. Who did it, when and why is recorded. Without arguments: "
        "what is on now, and which markets are not open."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", nargs="?", choices=[kind.value for kind in Kind])
        parser.add_argument("what", nargs="?", choices=["start", "end"])
        subject = parser.add_mutually_exclusive_group()
        subject.add_argument("--asset", help="code, such as BTC")
        subject.add_argument("--asset-class", help="name of a class of assets")
        subject.add_argument("--user", help="number or e-mail")
        parser.add_argument("--minutes", type=int, help="after which it ends by itself; never in an emergency")
        parser.add_argument("--emergency", action="store_true", help="only two of staff, in the admin, end it (E2)")
        parser.add_argument("--reason", help="why; kept with the change, which needs it")

    def handle(self, *args: Any, kind: str | None, what: str | None, **options: Any) -> None:
        if kind is None:
            self._show()
            return
        if what is None:
            raise CommandError("Say start or end. Nothing was changed.")
        scope, subject = next(
            ((scope, options[name]) for name, scope in _SCOPES.items() if options[name] is not None),
            (Scope.PLATFORM, ""),
        )
        try:
            switch = set_switch(
                kind=Kind(kind),
                scope=scope,
                subject=subject,
                on=what == "start",
                actor=named(operator_text()),
                reason=options["reason"] or "",
                until=_end(options["minutes"]),
                emergency=options["emergency"],
            )
        except DomainError as error:
            raise CommandError(f"{error.message} Nothing was changed.") from error
        self.stdout.write(f"{switch}: {'on' if switch.is_on else 'ended'}.")

    def _show(self) -> None:
        switches = in_force()
        for switch in switches:
            until = "" if switch.until is None else f", until {switch.until:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(
                f"{switch}: on since {switch.set_at:%Y-%m-%d %H:%M} UTC{until}, {switch.set_by}: {switch.reason}"
            )
        if not switches:
            self.stdout.write("No switch is on.")
        found = halts()
        for halt in found.markets:
            ends = f", {halt.ends}" if halt.ends else ""
            self.stdout.write(f"market {halt.symbol}: {halt.state.lower()} ({halt.cause.lower()}){ends}")
        if not found.is_live:
            self.stdout.write("Market data is silent: the states of markets are as old as the settled record.")


def _end(minutes: int | None) -> datetime | None:
    if minutes is None:
        return None
    if not 1 <= minutes <= MINUTES_MAX:
        raise CommandError(f"--minutes is between 1 and {MINUTES_MAX}. Nothing was changed.")
    return timezone.now() + timedelta(minutes=minutes)
