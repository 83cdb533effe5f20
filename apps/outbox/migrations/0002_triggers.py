"""New rows wake the relay; what a row says never changes, and no row is deleted."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION outbox_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_announce AFTER INSERT ON outbox_outboxrow
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_announce();

CREATE FUNCTION outbox_guard_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.shard, NEW.key, NEW.source, NEW.kind, NEW.frames, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.shard, OLD.key, OLD.source, OLD.kind, OLD.frames, OLD.created_at) THEN
        RAISE EXCEPTION 'outbox row %: its content never changes', OLD.id;
    END IF;
    IF OLD.relay_seq IS NOT NULL AND NEW.relay_seq IS DISTINCT FROM OLD.relay_seq THEN
        RAISE EXCEPTION 'outbox row %: relay_seq is given once', OLD.id;
    END IF;
    IF OLD.state <> 'waiting' THEN
        RAISE EXCEPTION 'outbox row %: already settled as %', OLD.id, OLD.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_guard_update BEFORE UPDATE ON outbox_outboxrow
    FOR EACH ROW EXECUTE FUNCTION outbox_guard_update();

CREATE FUNCTION outbox_refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'outbox rows are kept: % is refused', TG_OP;
END $$;
CREATE TRIGGER outbox_refuse_removal BEFORE DELETE OR TRUNCATE ON outbox_outboxrow
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_removal();
"""

BACKWARD = """
DROP TRIGGER outbox_announce ON outbox_outboxrow;
DROP TRIGGER outbox_guard_update ON outbox_outboxrow;
DROP TRIGGER outbox_refuse_removal ON outbox_outboxrow;
DROP FUNCTION outbox_announce();
DROP FUNCTION outbox_guard_update();
DROP FUNCTION outbox_refuse_removal();
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
