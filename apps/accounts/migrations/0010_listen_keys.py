"""Listen keys. Their end gets a version as a credential's does (0002), so that every gateway hears of it at once."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER accounts_listenkey_lock
    BEFORE UPDATE OF revoked_at ON accounts_listenkey
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_credentials_lock();
CREATE TRIGGER accounts_listenkey_version
    BEFORE UPDATE OF revoked_at ON accounts_listenkey
    FOR EACH ROW EXECUTE FUNCTION accounts_credentials_version();
"""

BACKWARD = """
DROP TRIGGER accounts_listenkey_version ON accounts_listenkey;
DROP TRIGGER accounts_listenkey_lock ON accounts_listenkey;
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0009_key_networks"),)

    operations = (
        migrations.CreateModel(
            name="ListenKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_hash", models.BinaryField(editable=False, unique=True)),
                ("box", models.BinaryField(editable=False)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("version", models.BigIntegerField(default=0, editable=False)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="listen_keys",
                        to="accounts.tradingaccount",
                    ),
                ),
                (
                    "api_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="listen_keys", to="accounts.apikey"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("version__gt", 0)), fields=["version"], name="accounts_listenkey_version"
                    )
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
