"""Trades and reconciliations are append-only; orders are never deleted."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_trade
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON orders_reconciliation
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_refuse_change BEFORE DELETE OR TRUNCATE ON orders_order
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE orders_order SET (fillfactor = 85);
"""

BACKWARD = """
DROP TRIGGER ledger_refuse_change ON orders_trade;
DROP TRIGGER ledger_refuse_change ON orders_reconciliation;
DROP TRIGGER ledger_refuse_change ON orders_order;
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial"), ("ledger", "0002_triggers")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
