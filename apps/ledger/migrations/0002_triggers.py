"""Entries are append-only, and every statement that adds some keeps each transaction and asset at zero.

The zero-sum trigger is one per statement over the transition table: a deferred row trigger halves the speed.
A transaction's lines must therefore arrive in one statement, which is also what makes them easy to check.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

CREATE FUNCTION ledger_check_zero_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT shard, seq, asset_id, sum(amount_units) AS total INTO wrong
        FROM added GROUP BY shard, seq, asset_id HAVING sum(amount_units) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction %/% does not balance: asset % sums to %',
            wrong.shard, wrong.seq, wrong.asset_id, wrong.total;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_check_zero_sum AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_zero_sum();

ALTER TABLE ledger_balance SET (fillfactor = 60);
ALTER TABLE ledger_housetotal SET (fillfactor = 20);
"""

BACKWARD = """
DROP TRIGGER ledger_check_zero_sum ON ledger_entry;
DROP TRIGGER ledger_refuse_change ON ledger_entry;
DROP FUNCTION ledger_check_zero_sum();
DROP FUNCTION ledger_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
