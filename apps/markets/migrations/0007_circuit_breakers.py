"""Circuit breakers of a market, off for those there are so far, and the cause that they give for a halt."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0006_conditional_orders")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="breaker_rules",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="[[rule id, 1 price or 2 VWAP, basis points, window ms, halt s], ...] by ascending rule id",
            ),
        ),
        migrations.AddField(
            model_name="market",
            name="breaker_min_notional_units",
            field=models.BigIntegerField(default=0, help_text="a taker whose rest is worth less halts nothing"),
        ),
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
                    (5, "Circuit breaker"),
                ],
                default=0,
            ),
        ),
    ]
