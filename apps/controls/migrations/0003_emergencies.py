"""Switches of an emergency, which only two of staff end (E2); rights to flag users, and to decide on ends."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("controls", "0002_approvals"),)

    operations = (
        migrations.AlterModelOptions(
            name="switch",
            options={
                "ordering": ["kind", "scope", "subject"],
                "permissions": (
                    ("flag_beta_tester", "Can flag users as beta testers"),
                    ("approve_end_switch", "Can decide on ends of suspensions and freezes"),
                ),
                "verbose_name_plural": "switches",
            },
        ),
        migrations.AddField(
            model_name="switch",
            name="is_emergency",
            field=models.BooleanField(
                default=False,
                help_text="Two of staff end it, and nothing else does (E2).",
                verbose_name="of an emergency",
            ),
        ),
        migrations.AddConstraint(
            model_name="switch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_emergency", False), models.Q(("is_on", True), ("until", None)), _connector="OR"
                ),
                name="controls_switch_emergency",
            ),
        ),
    )
