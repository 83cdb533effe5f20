"""Rows that `manage.py settle --from archive` made again say so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outbox", "0002_triggers")]
    operations = [
        migrations.AddField(
            model_name="outboxrow",
            name="restored_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Made again from the archived command, because a restored database did not have the row.",
                null=True,
            ),
        ),
    ]
