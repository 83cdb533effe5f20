"""The database keeps the log: numbers and time are its own, what is written stays, and counters only go up.

A record's trigger runs with the owner's rights, so that a role which may only insert records needs nothing else. It
takes a counter that no other transaction holds (SKIP LOCKED), and makes one where all are held: nobody waits.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_number() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- The counter that this transaction has already, so that it takes no second one. Ends with the transaction.
    mine bigint := nullif(current_setting('nebannpet.audit_writer', true), '');
BEGIN
    -- What the log says of itself (keys, gaps) is the sequencer's to write: a gap must not be explained away.
    IF starts_with(NEW.action, 'audit.') AND current_setting('role') NOT IN ('none', 'nebannpet_outbox') THEN
        RAISE EXCEPTION '% is for the sequencer alone', NEW.action;
    END IF;
    IF mine IS NOT NULL THEN
        SELECT id INTO mine FROM audit_writer WHERE id = mine FOR UPDATE SKIP LOCKED;
    END IF;
    IF mine IS NULL THEN
        SELECT id INTO mine FROM audit_writer ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF mine IS NOT NULL THEN
        -- The greatest is the counter itself. Where somebody has put that back, the log goes on behind what is there.
        UPDATE audit_writer SET last_number = 1 + greatest(last_number,
                (SELECT max(number) FROM audit_record WHERE writer = mine),
                (SELECT number FROM audit_progress WHERE writer = mine)) WHERE id = mine
            RETURNING id, last_number INTO NEW.writer, NEW.number;
    ELSE
        INSERT INTO audit_writer (last_number) VALUES (1) RETURNING id, last_number INTO NEW.writer, NEW.number;
    END IF;
    PERFORM set_config('nebannpet.audit_writer', NEW.writer::text, true);
    NEW.at_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
    NEW.role := coalesce(nullif(current_setting('role'), 'none'), session_user);
    RETURN NEW;
END $$;
CREATE TRIGGER audit_number BEFORE INSERT ON audit_record FOR EACH ROW EXECUTE FUNCTION audit_number();

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_node
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_refuse_change BEFORE DELETE OR TRUNCATE ON audit_writer
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_refuse_change BEFORE DELETE OR TRUNCATE ON audit_progress
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

CREATE FUNCTION audit_writer_only_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.last_number <= OLD.last_number THEN
        RAISE EXCEPTION 'audit_writer: a counter only goes up';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_writer_only_up BEFORE UPDATE ON audit_writer
    FOR EACH ROW EXECUTE FUNCTION audit_writer_only_up();

CREATE FUNCTION audit_progress_only_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.writer <> OLD.writer OR NEW.number <= OLD.number THEN
        RAISE EXCEPTION 'audit_progress: a counter only goes up';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_progress_only_up BEFORE UPDATE ON audit_progress
    FOR EACH ROW EXECUTE FUNCTION audit_progress_only_up();

CREATE FUNCTION audit_count(what text, on_what text) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
    INSERT INTO audit_tally (action, object, minute, count)
    VALUES (what, on_what, floor(extract(epoch FROM clock_timestamp()) / 60), 1)
        ON CONFLICT (action, object, minute) DO UPDATE SET count = audit_tally.count + 1
$$;

ALTER TABLE audit_writer SET (fillfactor = 20);
"""

BACKWARD = """
DROP FUNCTION audit_count(text, text);
DROP FUNCTION audit_number() CASCADE;
DROP FUNCTION audit_refuse_change() CASCADE;
DROP FUNCTION audit_writer_only_up() CASCADE;
DROP FUNCTION audit_progress_only_up() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
