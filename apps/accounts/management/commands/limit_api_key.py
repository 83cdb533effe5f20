"""`manage.py limit_api_key KEY [NETWORK ...] [--everywhere] --reason TEXT`: where an API key works from (A5)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import ApiKey
from apps.accounts.services.api_keys import limit_api_key
from apps.audit.actors import operator_text
from apps.common.errors import DomainError


class Command(BaseCommand):
    help = (
        "Let an API key work from these addresses and networks only, or from everywhere again. Without either it "
        "shows what is so now. Who changed it, when and why is recorded. The change counts within a second: from "
        "elsewhere the key is answered -2015 then, and its open connections end."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="the API key, as clients send it in X-MBX-APIKEY")
        parser.add_argument("networks", nargs="*", metavar="NETWORK", help="such as 203.0.113.7 or 2001:db8::/32")
        parser.add_argument("--everywhere", action="store_true", help="take the limit away")
        parser.add_argument("--reason", help="why; kept with the change, which needs it")

    def handle(
        self, *args: Any, key: str, networks: list[str], everywhere: bool, reason: str | None, **options: Any
    ) -> None:
        if everywhere and networks:
            raise CommandError("--everywhere and networks exclude one another. Nothing was changed.")
        found = ApiKey.objects.defer("secret_box").filter(public_key=key).first()
        if found is None:
            raise CommandError("There is no such API key. Nothing was changed.")
        if everywhere or networks:
            try:
                limit_api_key(
                    account_id=found.account_id,
                    key_id=found.pk,
                    networks=networks,
                    reason=reason or "",
                    requested_by=operator_text(),
                )
            except DomainError as error:
                raise CommandError(f"{error.message} Nothing was changed.") from error
            found.refresh_from_db(fields=["allowed_networks"])
        over = "revoked" if found.is_revoked else "expired"
        where = ", ".join(found.allowed_networks) or "everywhere" if found.is_in_use else f"{over}: nowhere"
        self.stdout.write(f"{found.label} of account {found.account_id} works from: {where}")
