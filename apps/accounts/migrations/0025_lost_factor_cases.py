"""What stops a request of a user who lost the second factor, and by which password it was asked for."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = (("accounts", "0024_display_and_closing"), ("controls", "0002_approvals"))

    operations = (
        migrations.CreateModel(
            "LostFactorCase",
            (
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stop_hash", models.BinaryField(unique=True)),
                ("password_hash_digest", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=Now())),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="controls.approvalrequest"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lost_factor_cases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ),
            options={
                "ordering": ("id",),
                "default_permissions": (),
            },
        ),
    )
