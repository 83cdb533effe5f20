"""What has to happen to the database before the processes start, in one go: schema, roles, demonstration data."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Migrate, apply the database roles and, where DEMO_DATA is on, load the demonstration. May run again."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("apply_roles")
        if settings.DEMO_DATA:
            call_command("demo_data")
