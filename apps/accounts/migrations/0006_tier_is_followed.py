"""The limits tier of an account stands with its keys in every gateway, so a new tier raises their version."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_tier_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Same values: only the version rises, so that followers read the tier again.
    UPDATE accounts_apikey SET can_read = can_read WHERE account_id = NEW.id AND revoked_at IS NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_tier_changed
    AFTER UPDATE OF tier ON accounts_tradingaccount
    FOR EACH ROW WHEN (OLD.tier IS DISTINCT FROM NEW.tier) EXECUTE FUNCTION accounts_tier_changed();
"""

BACKWARD = """
DROP TRIGGER accounts_tier_changed ON accounts_tradingaccount;
DROP FUNCTION accounts_tier_changed();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0005_families_and_allocations"),)

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
