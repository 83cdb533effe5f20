"""Rights of staff that no model has by itself (apps/accounts/staffroles.py)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("accounts", "0022_passkey_challenges"),)

    operations = (
        migrations.AlterModelOptions(
            name="user",
            options={
                "ordering": ("id",),
                "permissions": (
                    ("manage_staff", "Can ask for roles of staff, decide on them and take them"),
                    ("switch_off_user", "Can switch users off"),
                    ("reopen_user", "Can ask for accounts to be opened again"),
                    ("approve_reopening_user", "Can decide whether accounts are opened again"),
                ),
            },
        ),
    )
