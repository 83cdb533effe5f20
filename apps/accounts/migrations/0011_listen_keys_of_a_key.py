"""An API key's listen keys by time: among any number that are over, the valid one and the oldest are found at once."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("accounts", "0010_listen_keys"),)

    operations = (
        migrations.AddIndex(
            model_name="listenkey",
            index=models.Index(fields=["api_key", "expires_at"], name="accounts_listenkey_of_key"),
        ),
        migrations.AlterField(
            model_name="listenkey",
            name="api_key",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="listen_keys",
                to="accounts.apikey",
            ),
        ),
    )
