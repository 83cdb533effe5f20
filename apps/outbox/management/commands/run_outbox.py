"""manage.py run_outbox: the relay from outbox rows to the engine's command stream, and the audit log's sequencer."""

import signal
import threading

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.audit.keptcheckpoint import KeptCheckpoint
from apps.audit.keys import load_key
from apps.audit.process import SequencerProcess
from apps.outbox import session
from apps.outbox.process import RelayProcess
from apps.streams.bus.redis import RedisBus
from nebannpet.health import Health, serve_health


class Command(BaseCommand):
    help = (
        "Send outbox rows to the engine, in order and without losing one, and put audit records into the audit log's"
        " tree. Stops on SIGTERM."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        relay = RelayProcess(
            shard=settings.SHARD, open_bus=lambda: RedisBus(settings.REDIS_CORE_URL, settings.SHARD), stop=stop
        )
        sequencer = SequencerProcess(
            connect=session.connect,
            load_key=lambda: load_key(settings.AUDIT_KEY_FILE, make=settings.AUDIT_KEY_IS_MADE),
            origin=settings.AUDIT_ORIGIN,
            kept=KeptCheckpoint(settings.AUDIT_HEAD_FILE),
            previous=settings.AUDIT_PREVIOUS_KEYS,
            stop=stop,
        )

        def check() -> Health:
            """The relay's: a damaged audit log or key is said and counted, but money must not wait for it."""
            relayed = relay.check()
            return Health(relayed.ok, {**relayed.details, "audit": sequencer.status, "audit_entries": sequencer.size})

        # By itself, so that neither waits for the other's statements.
        thread = threading.Thread(target=sequencer.run, name="audit sequencer")
        with serve_health("outbox", check):
            thread.start()
            try:
                relay.run()
            finally:
                stop.set()
                thread.join()
