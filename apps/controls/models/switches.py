"""Switches (requirements W7, W3, A9; architecture.md section 2, "Keys and switches")."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.controls.gates import SwitchRow
from apps.controls.kinds import SCOPES, Kind, Scope
from apps.controls.policy import SUBJECT_LENGTH_MAX
from apps.outbox.policy import REASON_LENGTH_MAX


def _choices(vocabulary: type[Kind] | type[Scope]) -> list[tuple[str, str]]:
    return [(each.value, each.value.replace("-", " ")) for each in vocabulary]


def _of_its_scopes() -> models.Q:
    allowed = models.Q()
    for kind, scopes in SCOPES.items():
        allowed |= models.Q(kind=kind.value, scope__in=[scope.value for scope in scopes])
    return allowed


class Switch(models.Model):
    """One switch as it is now; what it was is in the audit log. Changed by services.set_switch alone.

    `version` is written by a trigger at every insert and every change, under a lock, so that versions become visible in
    rising order (following.py). A row is never deleted, and whose switch it is never changes: triggers refuse it.
    """

    kind = models.CharField(max_length=32, choices=_choices(Kind))
    scope = models.CharField(max_length=16, choices=_choices(Scope))
    subject = models.CharField(
        max_length=SUBJECT_LENGTH_MAX, blank=True, help_text="Code of an asset, name of a class, or number of a user."
    )
    is_on = models.BooleanField("on")
    is_emergency = models.BooleanField(
        "of an emergency", default=False, help_text="Two of staff end it, and nothing else does (E2)."
    )
    until = models.DateTimeField("ends by itself at", null=True, blank=True)
    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    set_by = models.CharField(max_length=254)
    set_at = models.DateTimeField()
    version = models.BigIntegerField(default=0, editable=False)

    class Meta:
        verbose_name_plural = "switches"
        ordering: ClassVar = ["kind", "scope", "subject"]
        indexes = (models.Index(fields=("version",), name="controls_switch_version"),)
        permissions = (
            ("flag_beta_tester", "Can flag users as beta testers"),
            ("approve_end_switch", "Can decide on ends of suspensions and freezes"),
        )
        constraints = (
            models.UniqueConstraint(fields=("kind", "scope", "subject"), name="controls_switch_one_each"),
            models.CheckConstraint(condition=_of_its_scopes(), name="controls_switch_scope"),
            models.CheckConstraint(
                condition=models.Q(scope="platform", subject="") | ~models.Q(scope="platform") & ~models.Q(subject=""),
                name="controls_switch_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(is_on=True) | models.Q(until=None), name="controls_switch_off_has_no_end"
            ),
            models.CheckConstraint(
                condition=models.Q(is_emergency=False) | models.Q(is_on=True, until=None),
                name="controls_switch_emergency",
            ),
        )

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.scope, self.subject)))

    @property
    def is_in_force(self) -> bool:
        return SwitchRow(self.kind, self.scope, self.subject, self.is_on, self.until).is_in_force(timezone.now())
