"""Two more causes that the engine gives for a market's state; only the choices of the form change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0002_market_versions")]

    operations = [
        migrations.AlterField(
            model_name="market",
            name="state_cause",
            field=models.PositiveSmallIntegerField(
                choices=[
                    (0, "None"),
                    (1, "Staff"),
                    (2, "Broken invariant"),
                    (3, "Commands failed"),
                    (4, "Clock jumped"),
                ],
                default=0,
            ),
        ),
    ]
