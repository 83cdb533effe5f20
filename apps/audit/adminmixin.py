"""For admin pages that write rows themselves: each addition, change and deletion leaves an entry."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import BaseForm, Form
from django.http import HttpRequest

from apps.audit.actors import acting
from apps.audit.services import record

_CHANGES = "_audit_changes"


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Stands before other admin classes among the bases of a page.

    `audit_hidden` are fields whose values are never written down, since nothing can be removed from the log: only that
    they were changed is.
    """

    audit_hidden: ClassVar[tuple[str, ...]] = ()

    def construct_change_message(
        self, request: HttpRequest, form: Form, formsets: Any, add: bool = False
    ) -> list[dict[str, dict[str, list[str]]]]:
        """Called right before log_addition and log_change, and the only one of the three that has the form."""
        setattr(request, _CHANGES, self._changes(form))
        message: list[dict[str, dict[str, list[str]]]] = super().construct_change_message(request, form, formsets, add)
        return message

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        self._record(request, "admin.added", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        self._record(request, "admin.changed", obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for each in queryset:
            self._record(request, "admin.deleted", each)
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, action: str, obj: models.Model) -> None:
        before, after = getattr(request, _CHANGES, ({}, {}))
        with transaction.atomic():
            record(
                actor=acting(),
                action=action,
                object=object_of(obj),
                before=before if action == "admin.changed" and before else None,
                after=after if action != "admin.deleted" and after else None,
            )

    def _changes(self, form: BaseForm) -> tuple[dict[str, Any], dict[str, Any]]:
        """(before, after) of the fields that were changed; those that are hidden are named only."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        hidden = []
        for name in form.changed_data:
            if name in self.audit_hidden:
                hidden.append(name)
                continue
            before[name] = _shown(form.initial.get(name))
            after[name] = _shown(form.cleaned_data.get(name))
        if hidden:
            after["not_shown"] = sorted(hidden)
        return before, after


def object_of(obj: models.Model) -> str:
    """app.model:key, such as accounts.user:17."""
    return f"{obj._meta.label_lower}:{obj.pk}"


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Iterable):
        return sorted(str(each) for each in value)
    return str(value)
