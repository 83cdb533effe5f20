"""Fee tiers by 30-day volume: what was sent, append-only, and trades by time."""

import django.contrib.postgres.indexes
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_feetierchange
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = "DROP TRIGGER ledger_refuse_change ON orders_feetierchange"


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_block_orders"), ("ledger", "0002_triggers")]

    operations = [
        migrations.CreateModel(
            name="FeeTierChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                ("day", models.DateField()),
                ("tier", models.PositiveSmallIntegerField()),
                (
                    "volume_units",
                    models.BigIntegerField(
                        help_text="30-day volume, in 10^-8 of the asset that volumes are counted in."
                    ),
                ),
                ("outbox_key", models.CharField(max_length=64)),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="orders_feetierchange_day")],
                "constraints": [
                    models.UniqueConstraint(fields=("account_id", "day"), name="orders_feetierchange_unique")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="trade",
            index=django.contrib.postgres.indexes.BrinIndex(fields=["time_ms"], name="orders_trade_time"),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
