"""When a market reopens by itself, and which circuit breaker halted it: known of the settled record too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("markets", "0012_state_seq"),)

    operations = (
        migrations.AddField(
            model_name="market",
            name="state_reopens_ms",
            field=models.BigIntegerField(db_default=0, default=0, help_text="0: it does not open by itself"),
        ),
        migrations.AddField(
            model_name="market",
            name="state_rule_id",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="circuit breaker that halted it; 0: none"
            ),
        ),
    )
