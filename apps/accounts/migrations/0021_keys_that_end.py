"""Keys that withdraw, that end, and of which the last use is known. Keys that were there before do not end.

The end of a key never changes, so followers that have read it once need not look again.
"""

from django.db import migrations, models

COLUMNS = "account_id, public_key, secret_box, can_read, can_trade, revoked_at, allowed_networks"


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


END_STAYS = """
CREATE FUNCTION accounts_apikey_end_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a key keeps its end: %', OLD.id USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER accounts_apikey_end_stays
    BEFORE UPDATE OF expires_at ON accounts_apikey
    FOR EACH ROW WHEN (OLD.expires_at IS DISTINCT FROM NEW.expires_at)
    EXECUTE FUNCTION accounts_apikey_end_stays();
"""

END_MAY_CHANGE = """
DROP TRIGGER accounts_apikey_end_stays ON accounts_apikey;
DROP FUNCTION accounts_apikey_end_stays();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0020_codes_failed_in_a_row"),)

    operations = (
        migrations.RemoveConstraint("apikey", "accounts_apikey_has_right"),
        migrations.AddField("apikey", "can_withdraw", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("apikey", "expires_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "apikey", "expiry_told_days", models.PositiveSmallIntegerField(blank=True, editable=False, null=True)
        ),
        migrations.AddField("apikey", "last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField(
            "apikey",
            "last_used_address",
            models.CharField(blank=True, db_default="", default="", editable=False, max_length=45),
        ),
        migrations.AddIndex(
            "apikey",
            models.Index(
                condition=models.Q(("expires_at__isnull", False), ("revoked_at", None)),
                fields=["expires_at"],
                name="accounts_apikey_expiring",
            ),
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(("can_read", True), ("can_trade", True), ("can_withdraw", True), _connector="OR"),
                name="accounts_apikey_has_right",
            ),
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(
                    ("can_withdraw", False),
                    models.Q(("allowed_networks__len__gt", 0), ("expires_at__isnull", False)),
                    _connector="OR",
                ),
                name="accounts_apikey_withdraws",
            ),
        ),
        migrations.RunSQL(triggers(f"{COLUMNS}, can_withdraw"), triggers(COLUMNS)),
        migrations.RunSQL(END_STAYS, END_MAY_CHANGE),
    )
