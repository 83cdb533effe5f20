"""`manage.py release_account_lock EMAIL --address ADDRESS --reason TEXT`: an account that only staff may open (A7)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.accounts.services.locking import release_lock
from apps.audit.actors import operator_text
from apps.common.errors import DomainError


class Command(BaseCommand):
    help = (
        "An account that was locked from a mailbox that it had before is nobody's until staff found out whose it is. "
        "This gives it the address of its owner, who then sets a new password by e-mail. Recorded: who and why."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the address that the account has now")
        parser.add_argument("--address", required=True, help="the address of its owner; the same to leave it")
        parser.add_argument("--reason", required=True, help="why; kept in the audit log")

    def handle(self, *args: Any, email: str, address: str, reason: str, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(email)
            release_lock(user_id=user.pk, address=address, reason=reason, requested_by=operator_text())
        except User.DoesNotExist as error:
            raise CommandError("There is no account with this address. Nothing was changed.") from error
        except DomainError as error:
            raise CommandError(f"{error.message} Nothing was changed.") from error
        self.stdout.write(f"The account of {address} opens again with a new password by e-mail.")
