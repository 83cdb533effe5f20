"""Deleting many rows without holding their locks for long."""

from typing import Any

from django.db.models import QuerySet


def delete_in_batches(rows: QuerySet[Any], *, at_once: int) -> int:
    """Delete `rows`, the oldest first, at most `at_once` in a transaction; the number of them."""
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:at_once]):
        rows.model._default_manager.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
