"""An order's trades are found by its id, not among all that its account traded meanwhile.

Trades may be many millions: the indexes are built without stopping settlement (CREATE INDEX CONCURRENTLY), one after
the other and outside of a transaction. A build that was broken off leaves an index that is not valid and is not used;
the next run of the migration takes it away and builds it anew.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


def build(side: str) -> list[migrations.operations.base.Operation]:
    name = f"orders_trade_of_{side}_order"
    return [
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop),
        AddIndexConcurrently("trade", models.Index(fields=[f"{side}_order_id", "trade_id"], name=name)),
    ]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "0010_amendments_and_history")]
    operations = [*build("maker"), *build("taker")]
