"""Which event brought a market's state, so that whoever hears of it from elsewhere too knows what is newer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("markets", "0011_move_market"),)

    operations = (
        migrations.AddField(
            model_name="market",
            name="state_seq",
            field=models.BigIntegerField(db_default=0, default=0, editable=False, help_text="event that brought it"),
        ),
    )
