"""Switches, with versions as credentials have them (apps/accounts/migrations/0002): one sequence, drawn under a lock that
decisions share, so that they become visible in rising order and none changes while somebody decides by it.
"""

from django.db import migrations, models

FORWARD = """
CREATE SEQUENCE controls_version_seq AS bigint;

CREATE FUNCTION controls_switch_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- policy.SWITCHES_LOCK
    PERFORM pg_advisory_xact_lock(x'73776974'::bigint);
    RETURN NULL;
END $$;

CREATE FUNCTION controls_switch_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.kind, NEW.scope, NEW.subject) IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.subject) THEN
        RAISE EXCEPTION 'a switch stays whose it is: %', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    NEW.version := nextval('controls_version_seq');
    PERFORM pg_notify('switches', NEW.version::text);
    RETURN NEW;
END $$;

CREATE FUNCTION controls_switch_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'switches are ended, never deleted: %', OLD.id USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER controls_switch_lock BEFORE INSERT OR UPDATE ON controls_switch
    FOR EACH STATEMENT EXECUTE FUNCTION controls_switch_lock();
CREATE TRIGGER controls_switch_version BEFORE INSERT OR UPDATE ON controls_switch
    FOR EACH ROW EXECUTE FUNCTION controls_switch_version();
CREATE TRIGGER controls_switch_keep BEFORE DELETE ON controls_switch
    FOR EACH ROW EXECUTE FUNCTION controls_switch_keep();
"""

BACKWARD = """
DROP TRIGGER controls_switch_keep ON controls_switch;
DROP TRIGGER controls_switch_version ON controls_switch;
DROP TRIGGER controls_switch_lock ON controls_switch;
DROP FUNCTION controls_switch_keep();
DROP FUNCTION controls_switch_version();
DROP FUNCTION controls_switch_lock();
DROP SEQUENCE controls_version_seq;
"""

KINDS = (
    ("withdrawal-suspension", "withdrawal suspension"),
    ("deposit-suspension", "deposit suspension"),
    ("whitelist-freeze", "whitelist freeze"),
    ("beta-tester", "beta tester"),
)
SCOPES = (("platform", "platform"), ("asset", "asset"), ("asset-class", "asset class"), ("user", "user"))
EVERY = ["platform", "asset", "asset-class", "user"]


class Migration(migrations.Migration):
    initial = True
    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Switch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=KINDS, max_length=32)),
                ("scope", models.CharField(choices=SCOPES, max_length=16)),
                (
                    "subject",
                    models.CharField(
                        blank=True, help_text="Code of an asset, name of a class, or number of a user.", max_length=32
                    ),
                ),
                ("is_on", models.BooleanField(verbose_name="on")),
                ("until", models.DateTimeField(blank=True, null=True, verbose_name="ends by itself at")),
                ("reason", models.CharField(max_length=200)),
                ("set_by", models.CharField(max_length=254)),
                ("set_at", models.DateTimeField()),
                ("version", models.BigIntegerField(default=0, editable=False)),
            ],
            options={
                "verbose_name_plural": "switches",
                "ordering": ["kind", "scope", "subject"],
                "indexes": [models.Index(fields=["version"], name="controls_switch_version")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "scope", "subject"), name="controls_switch_one_each"),
                    models.CheckConstraint(
                        condition=models.Q(("kind", "withdrawal-suspension"), ("scope__in", EVERY))
                        | models.Q(("kind", "deposit-suspension"), ("scope__in", EVERY))
                        | models.Q(("kind", "whitelist-freeze"), ("scope__in", ["platform"]))
                        | models.Q(("kind", "beta-tester"), ("scope__in", ["user"])),
                        name="controls_switch_scope",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("scope", "platform"), ("subject", ""))
                        | ~models.Q(("scope", "platform")) & ~models.Q(("subject", "")),
                        name="controls_switch_subject",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_on", True)) | models.Q(("until", None)),
                        name="controls_switch_off_has_no_end",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
