"""Who let a key work from where, and why. Append-only."""

import django.db.models.deletion
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_keynetworkschange
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

BACKWARD = "DROP TRIGGER ledger_refuse_change ON accounts_keynetworkschange"


class Migration(migrations.Migration):
    dependencies = (("accounts", "0011_listen_keys_of_a_key"), ("ledger", "0002_triggers"))

    operations = (
        migrations.CreateModel(
            name="KeyNetworksChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("networks", ArrayField(base_field=models.CharField(max_length=43), blank=True, size=None)),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="network_changes",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={"ordering": ("-id",), "verbose_name_plural": "changes of API keys' networks"},
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
