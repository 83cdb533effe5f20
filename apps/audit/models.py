"""Tables of the audit log (requirement E7). What is in them only ever grows: triggers refuse the rest to everyone.

A *record* is what happened, written by whoever did it in the same transaction. An *entry* gives a record its place in
the tree; the sequencer writes it. So a record without an entry is pending, and nothing is copied or removed.
"""

from django.db import models

from apps.audit.policy import ACTOR_ID_LENGTH_MAX, OBJECT_LENGTH_MAX, REASON_LENGTH_MAX, REQUEST_ID_LENGTH_MAX


class Writer(models.Model):
    """Counts records without a gap. A transaction that records takes one that no other has, or makes a new one.

    So there are as many as transactions have ever recorded at the same time, and none waits for another. The counter
    moves in the transaction of its records: one that is rolled back leaves no gap. Only the trigger of the records
    touches it.
    """

    id = models.BigAutoField(primary_key=True)
    last_number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"writer {self.pk}, {self.last_number} records"


class Record(models.Model):
    """What happened. `writer`, `number`, `at_ms` and `role` are the database's own word, set by a trigger."""

    id = models.BigAutoField(primary_key=True)
    writer = models.BigIntegerField()
    number = models.BigIntegerField(help_text="1, 2, 3 ... of this writer, without a gap.")
    at_ms = models.BigIntegerField(help_text="Milliseconds since 1970, the database's clock.")
    role = models.CharField(max_length=63, help_text="Database role that wrote the record.")
    actor_kind = models.CharField(max_length=16, help_text="user, staff, api-key, process or operator.")
    actor_id = models.CharField(max_length=ACTOR_ID_LENGTH_MAX)
    action = models.CharField(max_length=40, help_text="A name of apps/audit/actions.py.")
    object = models.CharField(max_length=OBJECT_LENGTH_MAX)
    before = models.TextField(null=True, blank=True, help_text="Canonical JSON.")
    after = models.TextField(null=True, blank=True, help_text="Canonical JSON.")
    reason = models.CharField(max_length=REASON_LENGTH_MAX, blank=True)
    request_id = models.CharField(max_length=REQUEST_ID_LENGTH_MAX, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["writer", "number"], name="audit_record_number_unique")]
        indexes = [
            models.Index(fields=["actor_id", "id"], name="audit_record_actor"),
            models.Index(fields=["object", "id"], name="audit_record_object"),
            models.Index(fields=["action", "id"], name="audit_record_action"),
            models.Index(fields=["request_id"], name="audit_record_request", condition=~models.Q(request_id="")),
        ]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.action} {self.object}"


class Entry(models.Model):
    """The place of a record: leaf number `index` of the tree, and the chain's value there."""

    index = models.BigIntegerField(primary_key=True)
    record = models.OneToOneField(Record, on_delete=models.PROTECT, related_name="entry")
    chain = models.BinaryField()

    def __str__(self) -> str:
        return f"entry {self.index}"


class Node(models.Model):
    """A complete subtree (apps/audit/tree.py); level 0 is an entry's leaf hash."""

    pk = models.CompositePrimaryKey("level", "position")
    level = models.SmallIntegerField()
    position = models.BigIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"node {self.level}/{self.position}"


class Checkpoint(models.Model):
    """A signed size and root. `key` is the verifier key of the one that signed it."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    made_at_ms = models.BigIntegerField()
    key = models.TextField()
    note = models.TextField()

    def __str__(self) -> str:
        return f"checkpoint of {self.size} entries"


class Progress(models.Model):
    """Up to which number the records of a writer are sequenced. The sequencer's own word, beside Writer's."""

    writer = models.BigIntegerField(primary_key=True)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"writer {self.writer} up to {self.number}"


class Tally(models.Model):
    """Counts of one minute, for what a flood could fill the log with. The sequencer makes a record of it."""

    pk = models.CompositePrimaryKey("action", "object", "minute")
    action = models.CharField(max_length=40)
    object = models.CharField(max_length=OBJECT_LENGTH_MAX)
    minute = models.BigIntegerField(help_text="Minutes since 1970.")
    count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.action} {self.object}: {self.count}"
