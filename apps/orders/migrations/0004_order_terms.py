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
        migrations.AddField(
            model_name="order",
            name="prevented_lots",
            field=models.BigIntegerField(
                db_default=0,
                help_text=("Taken off by self-trade prevention (DECREMENT): open are quantity - filled - prevented."),
            ),
        ),
    ]
