"""Site processes are told when a session ends, or all of a user's may have: their open sockets close (threat-T5).

A deleted session is one that ended, whoever deletes it. After a change of the password, or when the user is switched
off, sessions are there but worth nothing. The payloads name no session key: its hash is that of tickets.hash_session_key.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_session_end_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('sessions', 'session:' || encode(sha256(convert_to(OLD.session_key, 'UTF8')), 'hex'));
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_session_end_told
    AFTER DELETE ON django_session
    FOR EACH ROW EXECUTE FUNCTION accounts_session_end_told();

CREATE FUNCTION accounts_user_end_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('sessions', 'user:' || NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_user_end_told
    AFTER UPDATE OF password, is_active ON accounts_user
    FOR EACH ROW
    WHEN (OLD.password IS DISTINCT FROM NEW.password OR OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION accounts_user_end_told();
"""

BACKWARD = """
DROP TRIGGER accounts_user_end_told ON accounts_user;
DROP FUNCTION accounts_user_end_told();
DROP TRIGGER accounts_session_end_told ON django_session;
DROP FUNCTION accounts_session_end_told();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0017_devices_and_log_ins"), ("sessions", "0001_initial"))

    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
