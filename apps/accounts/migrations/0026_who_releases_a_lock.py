from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0025_lost_factor_cases")]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="lock_needs_staff",
            field=models.BooleanField(
                default=False,
                help_text="Locked from another mailbox than the account's: two of staff release it, or an operator.",
            ),
        ),
    ]
