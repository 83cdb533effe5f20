from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0019_lock_links")]

    operations = [
        migrations.AddField(
            model_name="totpfactor", name="failures_in_a_row", field=models.PositiveSmallIntegerField(default=0)
        ),
    ]
