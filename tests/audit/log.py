"""An audit log in the test database: records as the site makes them, a sequencer's steps, damage as its owner."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction

from apps.audit import actors
from apps.audit.keptcheckpoint import KeptCheckpoint
from apps.audit.models import Record
from apps.audit.notes import VerifierKey
from apps.audit.sequencer import Sequencer, Step
from apps.audit.services import record
from apps.audit.verifying import Verified, verify_log
from tests.orders.live import until

ORIGIN = "exchange.example/audit"
# Of RFC 8032, test 1: the same in every run, so that the worked example of docs/audit.md can be computed again.
KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)


def write(count: int = 1, *, action: str = "market.state", object: str = "market:BTCUSDT") -> None:
    """That many records, each in a transaction of its own."""
    for number in range(count):
        with transaction.atomic():
            record(
                actor=actors.named("staff: ann@exchange.example"), action=action, object=object,
                before={"state": "open"}, after={"state": f"halted {number}"}, reason="a test",
            )  # fmt: skip


@contextmanager
def owner() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as opened:
        yield opened


class NothingKept(KeptCheckpoint):
    """A site that has signed nothing before, each time: the file is another test's concern."""

    def __init__(self) -> None:
        super().__init__(Path())

    def read(self) -> None:
        return None

    def write(self, note: str) -> None:
        pass


@contextmanager
def sequencing(
    *,
    records_per_step: int = 1_000,
    key: Ed25519PrivateKey = KEY,
    kept: KeptCheckpoint | None = None,
    previous: Sequence[VerifierKey] = (),
) -> Iterator[Sequencer]:
    with owner() as opened:
        made = Sequencer(
            opened, key=key, origin=ORIGIN, kept=kept or NothingKept(), previous=previous,
            records_per_step=records_per_step,
        )  # fmt: skip
        # The server may not have ended the connection of the one before yet.
        until(made.acquire, "the lock is free")
        made.load()
        yield made


def sequence(kept: KeptCheckpoint | None = None) -> list[Step]:
    """Steps until nothing is pending."""
    with sequencing(kept=kept) as sequencer:
        steps = [sequencer.step()]
        while steps[-1].sequenced or steps[-1].more:
            steps.append(sequencer.step())
        return steps


def damage(statement: str, *values: object) -> None:
    """What only the owner of the database can do: without the triggers."""
    with owner() as opened:
        opened.execute("SET session_replication_role = replica")
        changed = opened.execute(statement, values).rowcount  # type: ignore[arg-type]
        assert changed != 0, "nothing was damaged"


def verified(**options: Any) -> Verified:
    with owner() as opened:
        return verify_log(opened, **options)


def pending() -> int:
    return Record.objects.filter(entry=None).count()


def sql(statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
