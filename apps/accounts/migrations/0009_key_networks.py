"""Networks that a key works from. A change of them is news for followers, as every other right is."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

COLUMNS = "account_id, public_key, secret_box, can_read, can_trade, revoked_at"


def triggers(columns: str) -> str:
    """The two triggers of migration 0002, on these columns."""
    return f"""
DROP TRIGGER accounts_apikey_lock ON accounts_apikey;
DROP TRIGGER accounts_apikey_version ON accounts_apikey;
CREATE TRIGGER accounts_apikey_lock
    BEFORE INSERT OR UPDATE OF {columns} ON accounts_apikey
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_credentials_lock();
CREATE TRIGGER accounts_apikey_version
    BEFORE INSERT OR UPDATE OF {columns} ON accounts_apikey
    FOR EACH ROW EXECUTE FUNCTION accounts_credentials_version();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0008_tier_reaches_sessions"),)

    operations = (
        migrations.AddField(
            "apikey",
            "allowed_networks",
            ArrayField(
                base_field=models.CharField(max_length=43),
                blank=True,
                db_default=[],
                default=list,
                help_text="Addresses and networks that it works from; empty: from everywhere.",
                size=None,
            ),
        ),
        migrations.RunSQL(triggers(f"{COLUMNS}, allowed_networks"), triggers(COLUMNS)),
    )
