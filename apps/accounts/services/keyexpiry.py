"""Telling owners that an API key expires: 14 and 3 days before, and on the day (requirement A5, threat-T6)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts.models import ApiKey
from apps.accounts.policy import API_KEY_EXPIRY_TOLD_DAYS
from apps.accounts.services.announcements import tell_of_key

_AT_ONCE: Final = 500


def tell_of_ends(*, today: date) -> Mapping[int, int]:
    """One e-mail for each key for which one is due on this UTC day; how many, by the days before that they are for.

    `expiry_told_days` of the key's row says which was the last, and is written in the transaction of the e-mail: each
    is sent once, whoever runs this and how often. After days on which nobody did, the owner has the last one only. Keys
    that ended before this day or are revoked, and those of a user who is switched off, are not told of.
    """
    told = dict.fromkeys(API_KEY_EXPIRY_TOLD_DAYS, 0)
    for days in API_KEY_EXPIRY_TOLD_DAYS:
        while chosen := list(_due(days, today).values_list("pk", flat=True)[:_AT_ONCE]):
            told[days] += sum(_tell(key_id, days) for key_id in chosen)
    return told


def _due(days: int, today: date) -> QuerySet[ApiKey]:
    """Keys of whose end the owner is to be told as of one that is `days` away at most, and not of a nearer one."""
    ends_before = _midnight(today + timedelta(days=days + 1))
    found = _untold(days).filter(expires_at__lt=ends_before, account__owner__is_active=True)
    nearer = max((each for each in API_KEY_EXPIRY_TOLD_DAYS if each < days), default=-1)
    return found.filter(expires_at__gte=_midnight(today + timedelta(days=nearer + 1))).order_by("pk")


def _untold(days: int) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(Q(expiry_told_days=None) | Q(expiry_told_days__gt=days), revoked_at=None)


def _tell(key_id: int, days: int) -> int:
    """1 if it was this caller who told."""
    with transaction.atomic():
        # Who comes second waits for the row and looks at it again: no join here, of which PostgreSQL would not.
        if not _untold(days).filter(pk=key_id).update(expiry_told_days=days):
            return 0
        key = ApiKey.objects.select_related("account__owner").defer("secret_box").get(pk=key_id)
        tell_of_key(key, "key_expires", is_today=days == 0)
        return 1


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
