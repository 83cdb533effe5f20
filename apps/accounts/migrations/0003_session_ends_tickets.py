"""A deleted site session revokes its trading tickets, whoever deletes it (threat-T5).

Log-out pages, the staff admin, a log-in over another one, a new session key and `clearsessions` all delete the row.
issue_ticket locks that row, so a deletion waits for it and then sees the ticket that was just made.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The same hash as tickets.hash_session_key.
    UPDATE accounts_tradingticket SET revoked_at = clock_timestamp()
     WHERE session_key_hash = sha256(convert_to(OLD.session_key, 'UTF8')) AND revoked_at IS NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_session_ended
    AFTER DELETE ON django_session
    FOR EACH ROW EXECUTE FUNCTION accounts_session_ended();
"""

BACKWARD = """
DROP TRIGGER accounts_session_ended ON django_session;
DROP FUNCTION accounts_session_ended();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0002_credential_versions"), ("sessions", "0001_initial"))

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
