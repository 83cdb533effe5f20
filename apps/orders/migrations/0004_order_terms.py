from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0003_trade_seq_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="expires_ms",
            field=models.BigIntegerField(db_default=0, help_text="End of a GTD order, 0 without one."),
        ),
        migrations.AlterField(
            model_name="order",
            name="quantity_lots",
            field=models.BigIntegerField(help_text="As amended last; 0 for an order by quote budget."),
        ),
        migrations.AddField(
            model_name="order",
            name="prevented_lots",
            field=models.BigIntegerField(
                db_default=0,
                help_text=("Taken off by self-trade prevention (DECREMENT): open are quantity - filled - prevented."),
            ),
        ),
    ]
