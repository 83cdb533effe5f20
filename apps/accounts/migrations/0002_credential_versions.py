"""Versions for credentials (credentials.py tells how they are followed), and the first trading account id.

Lock order, the same in every path: rows of the site first (session, account, user), then the advisory lock, then
credential rows. The lock is taken by a BEFORE STATEMENT trigger, thus before the first row of the statement is locked.
"""

from django.db import migrations

FORWARD = """
-- policy.FIRST_TRADING_ACCOUNT_ID
ALTER TABLE accounts_tradingaccount ALTER COLUMN id SET START WITH 1001 RESTART;

CREATE SEQUENCE credential_version_seq AS bigint;

CREATE FUNCTION accounts_credentials_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- One number for the whole database; 0x63726564 spells 'cred'.
    PERFORM pg_advisory_xact_lock(x'63726564'::bigint);
    RETURN NULL;
END $$;

CREATE FUNCTION accounts_credentials_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
        RAISE EXCEPTION 'a revocation is final: % %', TG_TABLE_NAME, OLD.id USING ERRCODE = 'check_violation';
    END IF;
    NEW.version := nextval('credential_version_seq');
    PERFORM pg_notify('credentials', NEW.version::text);
    RETURN NEW;
END $$;

CREATE FUNCTION accounts_credentials_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'credentials are revoked, never deleted: % %', TG_TABLE_NAME, OLD.id USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER accounts_apikey_lock
    BEFORE INSERT OR UPDATE OF account_id, public_key, secret_box, can_read, can_trade, revoked_at ON accounts_apikey
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_credentials_lock();
CREATE TRIGGER accounts_apikey_version
    BEFORE INSERT OR UPDATE OF account_id, public_key, secret_box, can_read, can_trade, revoked_at ON accounts_apikey
    FOR EACH ROW EXECUTE FUNCTION accounts_credentials_version();
CREATE TRIGGER accounts_apikey_keep
    BEFORE DELETE ON accounts_apikey
    FOR EACH ROW EXECUTE FUNCTION accounts_credentials_keep();

CREATE TRIGGER accounts_tradingticket_lock
    BEFORE UPDATE OF revoked_at ON accounts_tradingticket
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_credentials_lock();
CREATE TRIGGER accounts_tradingticket_version
    BEFORE UPDATE OF revoked_at ON accounts_tradingticket
    FOR EACH ROW EXECUTE FUNCTION accounts_credentials_version();
-- An expired ticket that nobody used may go; one that opened a trading session may not.
CREATE TRIGGER accounts_tradingticket_keep
    BEFORE DELETE ON accounts_tradingticket
    FOR EACH ROW WHEN (OLD.used_at IS NOT NULL) EXECUTE FUNCTION accounts_credentials_keep();

CREATE FUNCTION accounts_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.password IS DISTINCT FROM OLD.password OR NOT NEW.is_active THEN
        UPDATE accounts_tradingticket SET revoked_at = clock_timestamp()
         WHERE user_id = NEW.id AND revoked_at IS NULL;
    END IF;
    IF NEW.is_active IS DISTINCT FROM OLD.is_active THEN
        -- Same values: only the version rises, so that followers read is_active again.
        UPDATE accounts_apikey k SET can_read = k.can_read
          FROM accounts_tradingaccount a
         WHERE a.id = k.account_id AND a.owner_id = NEW.id AND k.revoked_at IS NULL;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_user_changed
    AFTER UPDATE OF password, is_active ON accounts_user
    FOR EACH ROW
    WHEN (OLD.password IS DISTINCT FROM NEW.password OR OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION accounts_user_changed();
"""

BACKWARD = """
DROP TRIGGER accounts_user_changed ON accounts_user;
DROP TRIGGER accounts_tradingticket_keep ON accounts_tradingticket;
DROP TRIGGER accounts_tradingticket_version ON accounts_tradingticket;
DROP TRIGGER accounts_tradingticket_lock ON accounts_tradingticket;
DROP TRIGGER accounts_apikey_keep ON accounts_apikey;
DROP TRIGGER accounts_apikey_version ON accounts_apikey;
DROP TRIGGER accounts_apikey_lock ON accounts_apikey;
DROP FUNCTION accounts_user_changed();
DROP FUNCTION accounts_credentials_keep();
DROP FUNCTION accounts_credentials_version();
DROP FUNCTION accounts_credentials_lock();
DROP SEQUENCE credential_version_seq;
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0001_initial"),)

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
