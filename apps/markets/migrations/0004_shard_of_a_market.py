"""Markets belong to a shard; those there are so far belong to the first one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0003_causes_of_a_halt")]

    operations = [
        migrations.AddField(
            model_name="market",
            name="shard",
            field=models.CharField(default="spot", editable=False, max_length=16),
        ),
    ]
