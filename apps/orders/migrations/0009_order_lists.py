"""Order lists, which are never deleted, and the orders' membership."""

from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE DELETE OR TRUNCATE ON orders_orderlist
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = "DROP TRIGGER ledger_refuse_change ON orders_orderlist"


class Migration(migrations.Migration):
    dependencies = [("orders", "0008_fee_tiers"), ("ledger", "0002_triggers")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="order_list_id",
            field=models.BigIntegerField(db_default=0, help_text="The list that it is a member of, 0 for none."),
        ),
        migrations.CreateModel(
            name="OrderList",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("account_id", models.BigIntegerField()),
                ("client_order_id", models.CharField(max_length=36)),
                ("kind", models.SmallIntegerField(help_text="A ListKind.")),
                ("order_id_1", models.BigIntegerField()),
                ("order_id_2", models.BigIntegerField()),
                ("order_id_3", models.BigIntegerField()),
                ("status", models.SmallIntegerField(help_text="A ListStatus.")),
                ("created_ms", models.BigIntegerField()),
                ("updated_ms", models.BigIntegerField()),
                ("seq", models.BigIntegerField(help_text="The last event that changed this row.")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account_id", "market_id", "id"], name="orders_orderlist_of_account"),
                    models.Index(fields=["account_id", "client_order_id"], name="orders_orderlist_client_id"),
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
