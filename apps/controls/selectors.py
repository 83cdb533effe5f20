"""Reads."""

from datetime import datetime
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.controls.gates import UNKNOWN_GATES, Gates, SwitchRow, gates_of, subjects_of
from apps.controls.kinds import Kind, Scope
from apps.controls.models import Switch
from apps.controls.policy import SWITCHES_LOCK

log = structlog.get_logger("nebannpet.controls")

_COLUMNS: Final = ("kind", "scope", "subject", "is_on", "until")


def read_gates(*, user_id: int, asset: str = "", asset_class: str = "", now: datetime | None = None) -> Gates:
    """What the switches say in this transaction, and until it ends: call it in the one that decides.

    Takes the lock that changes take, shared: a change that is committed is seen, and one that is not waits for us. That
    is what SELECT ... FOR SHARE would do, also for switches that have no row yet. READ COMMITTED, as everywhere here.
    If they cannot be read, all gates are closed and the transaction will be rolled back, whatever the caller does.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "Switches count for the transaction that decides: call this inside transaction.atomic()."
        )
    wanted = Q()
    for scope, subject in subjects_of(user_id=user_id, asset=asset, asset_class=asset_class):
        wanted |= Q(scope=scope.value, subject=subject)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [SWITCHES_LOCK])
        rows = [SwitchRow(*row) for row in Switch.objects.filter(wanted).values_list(*_COLUMNS)]
    except (DatabaseError, InterfaceError) as error:
        log.error("switches cannot be read; what they could close is closed", error=str(error).strip())
        transaction.set_rollback(True)
        return UNKNOWN_GATES
    return gates_of(rows, user_id=user_id, asset=asset, asset_class=asset_class, now=now or timezone.now())


def is_beta_tester(*, user_id: int) -> bool:
    """A9: flagged by staff. No gate: nothing is closed by it."""
    flag = Switch.objects.filter(kind=Kind.BETA_TESTER.value, scope=Scope.USER.value, subject=str(user_id)).first()
    return flag is not None and flag.is_in_force


def in_force_for(*, user_id: int) -> QuerySet[Switch]:
    """Those that are on now and concern the user: theirs, and those that are of no user."""
    now = timezone.now()
    on = Switch.objects.filter(Q(until=None) | Q(until__gt=now), is_on=True)
    return on.filter(~Q(scope=Scope.USER.value) | Q(subject=str(user_id)))


def in_force() -> list[Switch]:
    """Every switch that is on now, by kind, scope and subject."""
    return [switch for switch in Switch.objects.filter(is_on=True) if switch.is_in_force]
