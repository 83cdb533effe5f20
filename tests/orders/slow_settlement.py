"""run_settlement with tiny batches, so that a kill meets it in the middle of its work."""

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    from apps.orders.settlement import process

    process.EVENTS_PER_BATCH = 30
    process.ENTRIES_PER_READ = 4
    call_command("run_settlement")
