"""Amendments, append-only; indexes by which every list of an account is read in its order, without sorting."""

from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_amendment
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = "DROP TRIGGER ledger_refuse_change ON orders_amendment"


def replace(model: str, index: models.Index) -> list[migrations.operations.base.Operation]:
    """The index of that name with other fields."""
    return [migrations.RemoveIndex(model, index.name), migrations.AddIndex(model, index)]


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_order_lists"), ("ledger", "0002_triggers")]

    operations = [
        migrations.CreateModel(
            name="Amendment",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("order_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("old_quantity_lots", models.BigIntegerField()),
                ("quantity_lots", models.BigIntegerField()),
                ("time_ms", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["order_id", "seq"], name="orders_amendment_of_order")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(quantity_lots__gt=0, quantity_lots__lt=models.F("old_quantity_lots")),
                        name="orders_amendment_smaller",
                    )
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        *replace("order", models.Index(fields=["account_id", "client_order_id", "id"], name="orders_order_client_id")),
        *replace(
            "order",
            models.Index(
                fields=["account_id", "id"], name="orders_order_open", condition=models.Q(status__in=[1, 2, 8])
            ),
        ),
        *replace(
            "preventedmatch",
            models.Index(fields=["taker_order_id", "prevented_id"], name="orders_prevented_taker_order"),
        ),
        *replace(
            "preventedmatch",
            models.Index(fields=["maker_order_id", "prevented_id"], name="orders_prevented_maker_order"),
        ),
        *replace("orderlist", models.Index(fields=["account_id", "id"], name="orders_orderlist_of_account")),
        *replace(
            "orderlist",
            models.Index(fields=["account_id", "client_order_id", "id"], name="orders_orderlist_client_id"),
        ),
        migrations.AddIndex(
            "orderlist",
            models.Index(
                fields=["account_id", "id"],
                name="orders_orderlist_open",
                condition=models.Q(("status", 3), _negated=True),
            ),
        ),
    ]
