"""An account has one balance of an asset on each shard."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_triggers")]

    operations = [
        migrations.RemoveConstraint(model_name="balance", name="ledger_balance_unique"),
        migrations.AddConstraint(
            model_name="balance",
            constraint=models.UniqueConstraint(
                fields=("account_id", "asset_id", "shard"), name="ledger_balance_unique"
            ),
        ),
    ]
