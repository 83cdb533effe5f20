"""`manage.py totp_code EMAIL`: the code that log-in asks of a demo account, as its authenticator app would show it."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.services.demo import demo_code
from apps.common.errors import DomainError


class Command(BaseCommand):
    help = (
        "Print a code of a demo account's authenticator app that was not used yet. Where the codes of this moment are "
        "used, standard error says from when on it works."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="address of a demo account")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        if settings.ENVIRONMENT == "production":
            raise CommandError("totp_code is for development; production refuses it.")
        try:
            code, wait_s = demo_code(email=email)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(code)
        if wait_s:
            self.stderr.write(f"It works in {wait_s} s.")
