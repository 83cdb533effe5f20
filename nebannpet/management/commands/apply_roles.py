"""manage.py apply_roles: database roles and grants as nebannpet/roles.py says. Runs after migrate, as the owner."""

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from nebannpet import roles


class Command(BaseCommand):
    help = "Create the database roles of the processes and set their grants; may run again at any time."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        try:
            with psycopg.connect(settings.DATABASE_DSN, autocommit=True, connect_timeout=5) as connection:
                roles.apply(connection)
        except (psycopg.Error, roles.MissingTables) as error:
            raise CommandError(f"The roles could not be applied: {error}") from error
        self.stdout.write(f"roles: {', '.join(role.name for role in roles.ROLES)}")
