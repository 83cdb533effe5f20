"""Credits accounts through the outbox, one for each line "credit account asset units key" of standard input, queues an
e-mail for each line "mail address", and makes a user for each line "person address password".

Answers one line each: "queued" with the row's key, or "refused" and why. Runs in the exchange's environment, as a
deposit detector would.
"""

import os
import sys

from nebannpet.loading import load_django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
load_django()

from django.db import Error, close_old_connections, connection, transaction  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.ledger.services import credit  # noqa: E402
from apps.markets.models import Asset  # noqa: E402
from apps.notifications.models import Topic  # noqa: E402
from apps.notifications.services import send_email  # noqa: E402


def queue_credit(account: str, asset: str, units: str, key: str) -> str:
    asset_id = Asset.objects.get(code=asset).pk
    credit(account_id=int(account), asset_id=asset_id, amount_units=int(units), key=key)
    return key


def queue_mail(address: str) -> str:
    with transaction.atomic():
        return send_email(to=address, template="test_message", context={}, topic=Topic.SERVICE).message_id


def make_person(address: str, password: str) -> str:
    """Without a second factor, so that the person may log in at any moment; a code works once in 30 s."""
    return str(User.objects.create_user(address, password).pk)


KINDS = {"credit": queue_credit, "mail": queue_mail, "person": make_person}


def main() -> None:
    for line in sys.stdin:
        kind, *words = line.split()
        try:
            close_old_connections()
            answer = f"queued {KINDS[kind](*words)}"
        except Error as error:
            connection.close()
            answer = f"refused {type(error).__name__}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
