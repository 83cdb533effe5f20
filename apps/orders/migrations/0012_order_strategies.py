"""Which of its strategies an order belongs to, as its account says; null for every other order, without a rewrite."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0011_trades_by_order")]
    operations = [
        migrations.AddField(
            "order",
            "strategy_id",
            models.BigIntegerField(null=True, help_text="As the account labelled it; null where it did not."),
        ),
        migrations.AddField("order", "strategy_type", models.BigIntegerField(null=True, help_text="The same.")),
    ]
