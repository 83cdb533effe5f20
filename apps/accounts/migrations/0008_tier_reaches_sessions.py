"""A new limits tier reaches open trading sessions too, not only keys: a page's account may have no key at all.

Unused tickets are told as well: one may be on its way into a session at this moment.
"""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION accounts_tier_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Same values: only the version rises, so that followers read the tier again.
    UPDATE accounts_apikey SET can_read = can_read WHERE account_id = NEW.id AND revoked_at IS NULL;
    UPDATE accounts_tradingticket SET revoked_at = revoked_at
     WHERE account_id = NEW.id AND revoked_at IS NULL AND (used_at IS NOT NULL OR expires_at > clock_timestamp());
    RETURN NULL;
END $$;
"""

BACKWARD = """
CREATE OR REPLACE FUNCTION accounts_tier_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts_apikey SET can_read = can_read WHERE account_id = NEW.id AND revoked_at IS NULL;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0007_public_keys"),)

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
