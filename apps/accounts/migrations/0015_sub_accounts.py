"""Sub-accounts can be frozen, which every gateway has to hear of, and names of one owner differ."""

import django.db.models.functions.text
from django.db import migrations, models

# accounts_tier_changed raises the version of the account's keys and sessions; they carry `frozen` as they do the tier.
FORWARD = """
CREATE TRIGGER accounts_account_frozen
    AFTER UPDATE OF frozen_at ON accounts_tradingaccount
    FOR EACH ROW WHEN (OLD.frozen_at IS DISTINCT FROM NEW.frozen_at) EXECUTE FUNCTION accounts_tier_changed();
"""
BACKWARD = "DROP TRIGGER accounts_account_frozen ON accounts_tradingaccount;"


class Migration(migrations.Migration):
    dependencies = (("accounts", "0014_withdrawals_held"),)

    operations = (
        migrations.AddField(
            "tradingaccount",
            "frozen_at",
            models.DateTimeField(blank=True, null=True, verbose_name="frozen at"),
        ),
        migrations.AddConstraint(
            "tradingaccount",
            models.UniqueConstraint(
                models.F("owner"),
                django.db.models.functions.text.Lower("label"),
                condition=models.Q(("is_main", False)),
                name="accounts_label_of_owner",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
