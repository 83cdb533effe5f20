"""API keys of which the owner keeps the private part: kind and public part; neither ever changes."""

from django.db import migrations, models

FORWARD = """
CREATE FUNCTION accounts_apikey_proof_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a key keeps its kind and its public part: %', OLD.id USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER accounts_apikey_proof_stays
    BEFORE UPDATE OF kind, verify_key ON accounts_apikey
    FOR EACH ROW WHEN (OLD.kind IS DISTINCT FROM NEW.kind OR OLD.verify_key IS DISTINCT FROM NEW.verify_key)
    EXECUTE FUNCTION accounts_apikey_proof_stays();
"""

BACKWARD = """
DROP TRIGGER accounts_apikey_proof_stays ON accounts_apikey;
DROP FUNCTION accounts_apikey_proof_stays();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0006_tier_is_followed"),)

    operations = (
        migrations.AddField(
            "apikey",
            "kind",
            models.CharField(
                choices=[("hmac", "HMAC-SHA-256"), ("ed25519", "Ed25519"), ("rsa", "RSA")],
                db_default="hmac",
                default="hmac",
                max_length=8,
            ),
        ),
        migrations.AddField(
            "apikey", "verify_key", models.BinaryField(blank=True, db_default=b"", default=b"", editable=False)
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(("kind", "hmac"), ("verify_key", b""), models.Q(("secret_box", b""), _negated=True))
                | models.Q(
                    ("kind__in", ("ed25519", "rsa")),
                    ("secret_box", b""),
                    models.Q(("verify_key", b""), _negated=True),
                ),
                name="accounts_apikey_one_proof",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
