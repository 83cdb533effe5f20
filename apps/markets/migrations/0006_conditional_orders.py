"""The limit of conditional orders, and what conditional market buys hold."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0005_entry_rules")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="max_conditional_orders",
            field=models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit"),
        ),
        migrations.AddField(
            model_name="market",
            name="conditional_buffer_bp",
            field=models.IntegerField(
                db_default=0, default=0, help_text="basis points that a stop-loss market buy holds above its stop price"
            ),
        ),
    ]
