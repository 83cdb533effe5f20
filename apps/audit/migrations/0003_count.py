"""Only who is granted it counts, and only what is counted: neither keys nor gaps can be slipped in as a tally."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION audit_count(what text, on_what text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF what IS DISTINCT FROM 'user.log-in-failures' OR coalesce(on_what, '') = '' THEN
        RAISE EXCEPTION '% is not counted', what;
    END IF;
    INSERT INTO audit_tally (action, object, minute, count)
    VALUES (what, on_what, floor(extract(epoch FROM clock_timestamp()) / 60), 1)
        ON CONFLICT (action, object, minute) DO UPDATE SET count = audit_tally.count + 1;
END $$;
REVOKE EXECUTE ON FUNCTION audit_count(text, text) FROM PUBLIC;
"""

BACKWARD = """
GRANT EXECUTE ON FUNCTION audit_count(text, text) TO PUBLIC;
CREATE OR REPLACE FUNCTION audit_count(what text, on_what text) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
    INSERT INTO audit_tally (action, object, minute, count)
    VALUES (what, on_what, floor(extract(epoch FROM clock_timestamp()) / 60), 1)
        ON CONFLICT (action, object, minute) DO UPDATE SET count = audit_tally.count + 1
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_triggers")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
