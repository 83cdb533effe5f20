from django.db import migrations, models


class Migration(migrations.Migration):
    """Known markets get 0: the engine has no limit for them until staff sets one."""

    dependencies = [("markets", "0013_end_of_a_halt")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="max_order_amends",
            field=models.IntegerField(db_default=0, default=10, help_text="amendments of one order; 0: no limit"),
        ),
    ]
