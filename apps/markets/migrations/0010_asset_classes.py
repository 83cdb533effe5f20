"""Asset classes: which assets are of one, who asked for it, and states asked for by class."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0009_call_auctions"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClassStateChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("outbox_key", models.CharField(max_length=64, unique=True)),
                ("asset_class", models.CharField(max_length=16, verbose_name="class")),
                ("shard", models.CharField(max_length=16)),
                (
                    "state",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "Pre-launch"),
                            (2, "Open"),
                            (3, "Post-only"),
                            (4, "Halted"),
                            (5, "Auction"),
                            (6, "Cancel-only"),
                            (7, "Closed"),
                        ]
                    ),
                ),
                ("moved", models.JSONField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-id",),
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="asset",
            name="asset_class",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Staff can move all markets of a class at once, such as erc20. As the engine took it last.",
                max_length=16,
                verbose_name="class",
            ),
        ),
        migrations.CreateModel(
            name="AssetClassChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=200)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("outbox_key", models.CharField(max_length=64, unique=True)),
                ("asset_class", models.CharField(blank=True, max_length=16, verbose_name="class")),
                ("shard", models.CharField(max_length=16)),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="class_changes", to="markets.asset"
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "abstract": False,
            },
        ),
    ]
