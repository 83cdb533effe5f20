"""Orders parked for review, their reviews, and prevented matches; all append-only."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_parkedorder
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_orderreview
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_preventedmatch
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = """
DROP TRIGGER ledger_refuse_change ON orders_parkedorder;
DROP TRIGGER ledger_refuse_change ON orders_orderreview;
DROP TRIGGER ledger_refuse_change ON orders_preventedmatch;
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0004_order_terms"), ("ledger", "0002_triggers")]

    operations = [
        migrations.CreateModel(
            name="ParkedOrder",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("account_id", models.BigIntegerField()),
                ("side", models.SmallIntegerField()),
                ("price_ticks", models.BigIntegerField()),
                ("reference_price_ticks", models.BigIntegerField()),
                ("parked_ms", models.BigIntegerField()),
                ("until_ms", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
            ],
            options={"permissions": (("review_parkedorder", "Can release and reject parked orders"),)},
        ),
        migrations.CreateModel(
            name="OrderReview",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("decision", models.SmallIntegerField(choices=[(1, "release"), (2, "reject")])),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("outbox_key", models.CharField(max_length=64, unique=True)),
                (
                    "order",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="reviews",
                        to="orders.parkedorder",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PreventedMatch",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("prevented_id", models.BigIntegerField(help_text="Dense per market.")),
                ("taker_order_id", models.BigIntegerField()),
                ("maker_order_id", models.BigIntegerField()),
                ("taker_account_id", models.BigIntegerField()),
                ("maker_account_id", models.BigIntegerField()),
                ("price_ticks", models.BigIntegerField()),
                ("prevented_lots", models.BigIntegerField()),
                ("stp_mode", models.SmallIntegerField()),
                ("time_ms", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "prevented matches",
                "indexes": [
                    models.Index(
                        fields=["taker_account_id", "market_id", "prevented_id"], name="orders_prevented_of_taker"
                    ),
                    models.Index(
                        fields=["maker_account_id", "market_id", "prevented_id"], name="orders_prevented_of_maker"
                    ),
                    models.Index(fields=["taker_order_id"], name="orders_prevented_taker_order"),
                    models.Index(fields=["maker_order_id"], name="orders_prevented_maker_order"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("market_id", "prevented_id"), name="orders_prevented_unique")
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
