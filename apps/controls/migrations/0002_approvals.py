"""Requests that others of staff decide on. What they ask for never changes, nor does an end or an approval; nobody
approves what they asked for, and nothing is deleted: triggers refuse it to everyone.
"""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE FUNCTION controls_approval_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'requests and approvals stay as they are: %', OLD.id USING ERRCODE = 'check_violation';
END $$;

CREATE FUNCTION controls_approval_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.approver_id = (SELECT maker_id FROM controls_approvalrequest WHERE id = NEW.request_id) THEN
        RAISE EXCEPTION 'nobody approves their own request: %', NEW.request_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER controls_approvalrequest_deleted BEFORE DELETE ON controls_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION controls_approval_keep();
CREATE TRIGGER controls_approvalrequest_changed BEFORE UPDATE ON controls_approvalrequest
    FOR EACH ROW WHEN (
        OLD.state <> 'open'
        OR (OLD.kind, OLD.subject, OLD.payload, OLD.changes, OLD.reason, OLD.maker_id, OLD.made_by, OLD.made_at,
            OLD.ready_at, OLD.expires_at)
           IS DISTINCT FROM
           (NEW.kind, NEW.subject, NEW.payload, NEW.changes, NEW.reason, NEW.maker_id, NEW.made_by, NEW.made_at,
            NEW.ready_at, NEW.expires_at)
    ) EXECUTE FUNCTION controls_approval_keep();
CREATE TRIGGER controls_approval_kept BEFORE UPDATE OR DELETE ON controls_approval
    FOR EACH ROW EXECUTE FUNCTION controls_approval_keep();
CREATE TRIGGER controls_approval_by_another BEFORE INSERT ON controls_approval
    FOR EACH ROW EXECUTE FUNCTION controls_approval_by_another();
"""

BACKWARD = """
DROP TRIGGER controls_approval_by_another ON controls_approval;
DROP TRIGGER controls_approval_kept ON controls_approval;
DROP TRIGGER controls_approvalrequest_changed ON controls_approvalrequest;
DROP TRIGGER controls_approvalrequest_deleted ON controls_approvalrequest;
DROP FUNCTION controls_approval_by_another();
DROP FUNCTION controls_approval_keep();
"""


class Migration(migrations.Migration):
    dependencies = (("controls", "0001_switches"),)

    operations = (
        migrations.CreateModel(
            name="ApprovalRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(help_text="A name of apps/controls/approvalkinds.py.", max_length=40)),
                ("subject", models.CharField(help_text="What it is about, such as user:17.", max_length=100)),
                ("payload", models.JSONField()),
                ("changes", models.JSONField()),
                ("reason", models.CharField(max_length=200)),
                ("maker_id", models.BigIntegerField(help_text="Number of the user who asked.")),
                ("made_by", models.CharField(max_length=254)),
                ("made_at", models.DateTimeField()),
                ("ready_at", models.DateTimeField(help_text="The last approval is not given before.")),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("done", "done"),
                            ("declined", "declined"),
                            ("withdrawn", "withdrawn"),
                            ("expired", "expired"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=254)),
                ("ended_reason", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "verbose_name": "request for approval",
                "verbose_name_plural": "requests for approval",
                "ordering": ["-id"],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("kind", "subject"),
                        name="controls_approval_one_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("state", "open")),
                            models.Q(models.Q(("state", "open"), _negated=True), ("ended_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="controls_approval_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("made_at__lte", models.F("ready_at")), ("ready_at__lt", models.F("expires_at"))
                        ),
                        name="controls_approval_times",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("approver_id", models.BigIntegerField(help_text="Number of the user who approved.")),
                ("given_by", models.CharField(max_length=254)),
                ("given_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=200)),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="approvals",
                        to="controls.approvalrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("request", "approver_id"), name="controls_approval_once")
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
