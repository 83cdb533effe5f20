"""Credits accounts through the outbox, one for each line "account asset units key" of standard input.

Answers one line each: "queued", or "refused" and why. Runs in the exchange's environment, as a deposit detector would.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
django.setup()

from django.db import Error, close_old_connections, connection  # noqa: E402

from apps.ledger.services import credit  # noqa: E402
from apps.markets.models import Asset  # noqa: E402


def main() -> None:
    for line in sys.stdin:
        account, asset, units, key = line.split()
        try:
            close_old_connections()
            asset_id = Asset.objects.get(code=asset).pk
            credit(account_id=int(account), asset_id=asset_id, amount_units=int(units), key=key)
            answer = "queued"
        except Error as error:
            connection.close()
            answer = f"refused {type(error).__name__}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
