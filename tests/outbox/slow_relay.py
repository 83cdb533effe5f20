"""run_outbox with small appends, so that a kill meets it in the middle of its work."""

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    from apps.outbox import relay

    relay.ROWS_PER_APPEND = 2
    call_command("run_outbox")
