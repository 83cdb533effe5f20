"""run_settlement with tiny batches, so that a kill meets it in the middle of its work; and with a few of them only, so
that however late the kill comes something is left to do.
"""

import itertools
import signal
from typing import Any, Final

import django
from django.core.management import call_command

BATCHES_MAX: Final = 6

if __name__ == "__main__":
    django.setup()
    from apps.orders.settlement import process

    process.EVENTS_PER_BATCH = 30
    process.ENTRIES_PER_READ = 4
    take, batches = process.take, itertools.count()

    def take_a_few(*arguments: Any, **named: Any) -> Any:
        if next(batches) == BATCHES_MAX:
            signal.pause()
        return take(*arguments, **named)

    process.take = take_a_few
    call_command("run_settlement")
