"""Row versions for markets: every change raises `version` from one sequence and notifies channel `markets`.

The lock makes versions visible in their order: whoever has read version n will never meet a smaller new one. It is
taken by a BEFORE STATEMENT trigger, thus before the first row of the statement is locked.
"""

from django.db import migrations

FORWARD = """
CREATE SEQUENCE market_version_seq AS bigint;

CREATE FUNCTION markets_market_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- One number for the whole database; 0x6d6b7473 spells 'mkts'.
    PERFORM pg_advisory_xact_lock(x'6d6b7473'::bigint);
    RETURN NULL;
END $$;

CREATE FUNCTION markets_market_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('market_version_seq');
    PERFORM pg_notify('markets', NEW.version::text);
    RETURN NEW;
END $$;

CREATE TRIGGER markets_market_lock
    BEFORE INSERT OR UPDATE ON markets_market
    FOR EACH STATEMENT EXECUTE FUNCTION markets_market_lock();
CREATE TRIGGER markets_market_version
    BEFORE INSERT OR UPDATE ON markets_market
    FOR EACH ROW EXECUTE FUNCTION markets_market_version();
"""

BACKWARD = """
DROP TRIGGER markets_market_version ON markets_market;
DROP TRIGGER markets_market_lock ON markets_market;
DROP FUNCTION markets_market_version();
DROP FUNCTION markets_market_lock();
DROP SEQUENCE market_version_seq;
"""


class Migration(migrations.Migration):
    dependencies = (("markets", "0001_initial"),)

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
