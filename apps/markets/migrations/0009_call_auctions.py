"""Call auctions of a market, off for those there are so far, and two more causes of a state."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0008_order_lists")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="call_s",
            field=models.IntegerField(default=0, help_text="length of a call auction; 0: none"),
        ),
        migrations.AddField(
            model_name="market",
            name="collar_bp",
            field=models.IntegerField(
                default=0, help_text="how far an auction price may lie from the reference price, basis points; 0: any"
            ),
        ),
        migrations.AddField(
            model_name="market",
            name="max_extensions",
            field=models.IntegerField(default=0, help_text="how often a call phase goes on outside the collar"),
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
                    (6, "No auction price"),
                    (7, "Auction extended"),
                ],
                default=0,
            ),
        ),
    ]
