"""Shares of block orders, and the append-only record of what each sub-account got."""

from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_allocatedfill
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_refuse_change BEFORE DELETE OR TRUNCATE ON orders_ordershare
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = """
DROP TRIGGER ledger_refuse_change ON orders_allocatedfill;
DROP TRIGGER ledger_refuse_change ON orders_ordershare;
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_conditional_orders"), ("ledger", "0002_triggers")]

    operations = [
        migrations.CreateModel(
            name="OrderShare",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("order_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("final_lots", models.BigIntegerField()),
                ("allocated_lots", models.BigIntegerField()),
                ("seq", models.BigIntegerField(help_text="The last event that changed this row.")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("order_id", "account_id"), name="orders_ordershare_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("allocated_lots__gte", 0), ("allocated_lots__lte", models.F("final_lots"))),
                        name="orders_ordershare_fits",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AllocatedFill",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("trade_id", models.BigIntegerField()),
                ("order_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("owner_account_id", models.BigIntegerField()),
                ("price_ticks", models.BigIntegerField()),
                ("quantity_lots", models.BigIntegerField()),
                ("quote_units", models.BigIntegerField()),
                ("fee_units", models.BigIntegerField()),
                ("is_buyer", models.BooleanField()),
                ("is_taker", models.BooleanField()),
                ("time_ms", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account_id", "market_id", "trade_id"], name="orders_allocated_of_account")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("market_id", "trade_id", "order_id", "account_id"), name="orders_allocatedfill_unique"
                    )
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
