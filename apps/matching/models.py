"""What PostgreSQL knows about the engines: who may write (epoch) and how far each reader has come (watermark).

Both rows are moved by compare-and-set only (architecture.md section 3, 'Epoch and takeover'; requirement T13).
"""

from django.db import models


class EngineEpoch(models.Model):
    """The authority on who writes a shard's events: an older epoch is refused everywhere."""

    shard = models.CharField(primary_key=True, max_length=16)
    epoch = models.BigIntegerField(default=0, db_default=0)
    holder = models.CharField(max_length=100, default="", db_default="", help_text="Worker that raised it last.")

    class Meta:
        verbose_name = "engine epoch"

    def __str__(self) -> str:
        return f"{self.shard}: epoch {self.epoch} by {self.holder or 'nobody yet'}"


class Watermark(models.Model):
    """The event up to which a reader's own tables in PostgreSQL go; moved in the transaction that writes them.

    `chain` is the hash chain at `seq` and `epoch` the one that wrote that entry, so that a worker can tell whether
    PostgreSQL and the event log share one history before it appends anything.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16)
    reader = models.CharField(max_length=32)
    seq = models.BigIntegerField(default=0, db_default=0)
    chain = models.CharField(max_length=64, default="", db_default="", blank=True)
    epoch = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shard", "reader"], name="matching_watermark_unique")]

    def __str__(self) -> str:
        return f"{self.shard}/{self.reader}: {self.seq}"
