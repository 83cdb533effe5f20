"""Until when a user's withdrawals are held, which only ever moves on: a save of a whole row that was read before the
change would undo the hold, and so would whoever can write the row but should not end one.
"""

from django.db import migrations, models

FORWARD = """
CREATE FUNCTION accounts_user_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.withdrawals_held_until := GREATEST(OLD.withdrawals_held_until, NEW.withdrawals_held_until);
    RETURN NEW;
END $$;

CREATE TRIGGER accounts_user_hold
    BEFORE UPDATE OF withdrawals_held_until ON accounts_user
    FOR EACH ROW
    WHEN (OLD.withdrawals_held_until IS DISTINCT FROM NEW.withdrawals_held_until)
    EXECUTE FUNCTION accounts_user_hold();
"""

BACKWARD = """
DROP TRIGGER accounts_user_hold ON accounts_user;
DROP FUNCTION accounts_user_hold();
"""


class Migration(migrations.Migration):
    dependencies = (("accounts", "0013_mail_phrase"),)

    operations = (
        migrations.AddField(
            "user",
            "withdrawals_held_until",
            models.DateTimeField(
                blank=True,
                editable=False,
                help_text="After a change of the log-in (A4). The database never moves it back.",
                null=True,
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    )
