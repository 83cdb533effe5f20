"""A worker of a release with other rules: python -m tests.chaos.newer_worker, in the environment of an exchange.

Its engine is today's with a higher RULES_VERSION: what must happen does not depend on what else a release changed.
"""

import os
import signal

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "nebannpet.settings"
    os.environ["NEBANNPET_PROCESS"] = "matching"
    django.setup()
    from django.conf import settings

    from apps.matching import snapshots
    from apps.matching.authority import PostgresAuthority
    from apps.matching.engine import Engine
    from apps.matching.worker import Worker
    from apps.streams.bus.redis import RedisBus
    from nebannpet.health import Health, serve_health

    class Newer(Engine):
        RULES_VERSION = Engine.RULES_VERSION + 1

    shard = settings.SHARD
    worker = Worker(
        RedisBus(settings.REDIS_CORE_URL, shard),
        PostgresAuthority(settings.DATABASE_DSN, shard, settings.DATABASE_ROLE),
        Newer,
        snapshots.shard_dir(settings.DATA_DIR, shard),
        name="newer",
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    with serve_health("newer", lambda: Health(ok=True, details=worker.status.details())):
        worker.run()


if __name__ == "__main__":
    main()
