from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_reviews_and_prevented"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="trailing_bips",
            field=models.IntegerField(db_default=0, help_text="Distance of a trailing stop, 0 for every other order."),
        ),
        migrations.AddField(
            model_name="order",
            name="is_waiting",
            field=models.BooleanField(
                db_default=False, help_text="Was accepted to wait for a trigger, and has not been triggered."
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="working_ms",
            field=models.BigIntegerField(
                db_default=0, help_text="When an order that waited was triggered; 0 for every other one."
            ),
        ),
    ]
