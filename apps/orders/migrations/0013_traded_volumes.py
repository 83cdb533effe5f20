"""The volumes of the newest computation of fee tiers, so that no page adds up the trades of a month."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_order_strategies")]

    operations = [
        migrations.CreateModel(
            name="TradedVolume",
            fields=[
                ("account_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                (
                    "volume_units",
                    models.BigIntegerField(help_text="In 10^-8 of the asset that volumes are counted in."),
                ),
            ],
        )
    ]
