"""manage.py send_test_email ADDRESS: proves the whole way of an e-mail, from the row to the mail server."""

import argparse

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction

from apps.notifications.models import Topic
from apps.notifications.services import send_email


class Command(BaseCommand):
    help = "Queue a short message; Celery sends it. Prints the number of its row, which the staff admin shows."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("address")
        parser.add_argument("--note", default="", help="a line to find it by")

    def handle(self, *args: object, **options: str) -> None:
        try:
            validate_email(options["address"])
        except ValidationError as error:
            raise CommandError(f"{options['address']} is not an e-mail address.") from error
        with transaction.atomic():
            email = send_email(
                to=options["address"], template="test_message", context={"note": options["note"]}, topic=Topic.SERVICE
            )
        print(f"e-mail {email.pk} is queued")
