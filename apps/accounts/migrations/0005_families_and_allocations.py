"""Families and allocation rules: mirrors of the engine, and what staff asked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_password_attempts"),
    ]

    operations = [
        migrations.CreateModel(
            name="FamilyChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("outbox_key", models.CharField(max_length=64, unique=True)),
                ("account_id", models.BigIntegerField(db_index=True, verbose_name="account")),
                ("family_id", models.BigIntegerField(db_index=True, verbose_name="family")),
            ],
            options={
                "ordering": ("-id",),
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="AccountSettings",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("shard", models.CharField(default="spot", max_length=16)),
                ("account_id", models.BigIntegerField(verbose_name="account")),
                ("family_id", models.BigIntegerField(verbose_name="family")),
                ("fee_tier", models.PositiveSmallIntegerField()),
                ("seq", models.BigIntegerField(help_text="The last event that changed this row.")),
            ],
            options={
                "verbose_name": "account in the engine",
                "verbose_name_plural": "accounts in the engine",
                "ordering": ("account_id",),
                "indexes": [models.Index(fields=["family_id"], name="accounts_settings_family")],
                "constraints": [models.UniqueConstraint(fields=("shard", "account_id"), name="accounts_settings_once")],
            },
        ),
        migrations.CreateModel(
            name="AllocationChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("outbox_key", models.CharField(max_length=64, unique=True)),
                ("account_id", models.BigIntegerField(verbose_name="owner")),
                ("rule_id", models.PositiveIntegerField(verbose_name="rule")),
                (
                    "method",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Fixed shares"), (2, "Equal"), (3, "As each order says")]
                    ),
                ),
                ("accounts", models.JSONField(blank=True)),
                ("weights_bp", models.JSONField(blank=True, default=list, verbose_name="basis points")),
            ],
            options={
                "ordering": ("-id",),
                "abstract": False,
                "indexes": [models.Index(fields=["account_id", "rule_id"], name="accounts_allocation_change")],
            },
        ),
        migrations.CreateModel(
            name="AllocationRule",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("shard", models.CharField(default="spot", max_length=16)),
                ("account_id", models.BigIntegerField(verbose_name="owner")),
                ("rule_id", models.PositiveIntegerField(verbose_name="rule")),
                (
                    "method",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Fixed shares"), (2, "Equal"), (3, "As each order says")]
                    ),
                ),
                ("accounts", models.JSONField(help_text="[account, ...]")),
                (
                    "weights_bp",
                    models.JSONField(
                        blank=True, default=list, help_text="of each account, fixed only", verbose_name="basis points"
                    ),
                ),
                ("seq", models.BigIntegerField(help_text="The last event that changed this row.")),
            ],
            options={
                "ordering": ("account_id", "rule_id"),
                "constraints": [
                    models.UniqueConstraint(fields=("shard", "account_id", "rule_id"), name="accounts_rule_once")
                ],
            },
        ),
    ]
