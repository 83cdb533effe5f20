"""The one way to change a switch."""

from datetime import datetime
from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.actors import Actor
from apps.audit.services import record
from apps.controls.errors import InvalidSwitch
from apps.controls.kinds import ALWAYS_THERE, CLOSING, SCOPES, Kind, Scope
from apps.controls.models import Switch
from apps.controls.policy import SWITCHES_LOCK
from apps.controls.subjects import find_subject
from apps.outbox.requests import required_reason


def set_switch(
    *,
    kind: Kind,
    scope: Scope,
    subject: str = "",
    on: bool,
    actor: Actor,
    reason: str,
    until: datetime | None = None,
    may_shorten: bool = True,
    emergency: bool = False,
    two_agreed: bool = False,
) -> Switch:
    """Start a switch, or end it. Once this is committed, no decision that began later goes by what it was before.

    Waits for the decisions under way, which are short transactions (selectors.read_gates), and they for this one. A
    switch that is on may be started once more, with another end or reason. `until`: it is over then without anybody;
    an emergency's has none. Without `may_shorten` one that is in force does not end earlier than it would; one that an
    `emergency` closed ends only where `two_agreed` of staff (E2, services/switchends.py). Raises ReasonMissing,
    InvalidSwitch and UnknownSubject.
    """
    clean_reason = required_reason(reason)
    if scope not in SCOPES[kind]:
        allowed = " or ".join(each.value for each in SCOPES[kind])
        raise InvalidSwitch(f"A {kind.value} is of {allowed}, not of {scope.value}.")
    now = timezone.now()
    if until is not None and (not on or until <= now):
        raise InvalidSwitch("The end is in the past." if on else "Only what begins has an end.")
    if emergency and (not on or until is not None or kind not in CLOSING):
        raise InvalidSwitch("An emergency closes something, and until two of staff end it.")
    if (scope is Scope.PLATFORM) == bool(subject.strip()):
        raise InvalidSwitch("The whole platform has no name." if subject.strip() else f"Name the {scope.value}.")
    with transaction.atomic():
        # Before the row: whoever has the lock of a row never waits for somebody who has this one.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SWITCHES_LOCK])
        known = Switch.objects.filter(kind=kind.value, scope=scope.value)
        # What is there can be ended by its name, also a class that no asset is of any more.
        named = subject.strip()
        if scope is not Scope.PLATFORM and (on or not known.filter(subject=named).exists()):
            named = find_subject(scope, subject)
        switch = known.filter(subject=named).first()
        if switch is not None and not may_shorten and _ends_earlier(switch, on=on, until=until):
            raise InvalidSwitch("It is on already, and would end earlier. Ask for its end: another of staff decides.")
        if switch is not None and switch.is_emergency and not two_agreed:
            if _ends_earlier(switch, on=on, until=until):
                raise InvalidSwitch("An emergency closed this: it ends where one of staff asks and another approves.")
            emergency = True
        before = None if switch is None else _told(switch)
        switch = switch or Switch(kind=kind.value, scope=scope.value, subject=named)
        switch.is_on, switch.until, switch.reason, switch.is_emergency = on, until, clean_reason, emergency
        switch.set_by, switch.set_at = f"{actor.kind.value}: {actor.id}", now
        switch.save()
        record(
            actor=actor,
            action="switch.set",
            object=":".join(filter(None, ("switch", kind.value, scope.value, named))),
            before=before,
            after=_told(switch),
            reason=clean_reason,
        )
    switch.refresh_from_db(fields=("version",))
    return switch


def install(*, using: str, apps: Apps = global_apps, **signal: Any) -> None:
    """After migrations, and after a flush: the rows that always exist. Connected to post_migrate."""
    try:
        model = apps.get_model("controls", "Switch")
    except LookupError:
        return  # migrated back to before there were switches
    for kind in ALWAYS_THERE:
        model.objects.using(using).get_or_create(
            kind=kind.value,
            scope=Scope.PLATFORM.value,
            subject="",
            defaults={"is_on": False, "reason": "installed", "set_by": "process: migrate", "set_at": timezone.now()},
        )


def _ends_earlier(switch: Switch, *, on: bool, until: datetime | None) -> bool:
    if not switch.is_in_force:
        return False
    return not on or (until is not None and (switch.until is None or until < switch.until))


def _told(switch: Switch) -> dict[str, Any]:
    until = None if switch.until is None else switch.until.isoformat(timespec="seconds")
    return {"on": switch.is_on, "until": until} | ({"emergency": True} if switch.is_emergency else {})
