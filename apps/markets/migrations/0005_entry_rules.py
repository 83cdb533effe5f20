"""Parking for review, and the limit of icebergs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0004_shard_of_a_market")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="park_outside_band",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="a limit order outside the band waits for review, not refused",
            ),
        ),
        migrations.AddField(
            model_name="market",
            name="park_expiry_s",
            field=models.IntegerField(db_default=3600, default=3600, help_text="seconds that a parked order waits"),
        ),
        migrations.AddField(
            model_name="market",
            name="max_iceberg_orders",
            field=models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit"),
        ),
    ]
