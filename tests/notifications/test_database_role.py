"""The process `celery` works with a role that reaches e-mail rows and nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from apps.notifications.delivery import Outcome, deliver
from apps.notifications.models import Topic
from apps.notifications.services import send_email
from apps.notifications.sweeping import sweep
from nebannpet import roles

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_celery")]


@pytest.fixture
def as_celery() -> Iterator[None]:
    with psycopg.connect(settings.DATABASE_DSN) as owner:
        roles.apply(owner)
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['celery']}")
        yield
        cursor.execute("RESET ROLE")


def test_it_can_do_its_work(nudges: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        email = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
        cursor.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['celery']}")
    assert sweep() == 1
    assert nudges == [email.pk, email.pk]
    assert deliver(email_id=email.pk) is Outcome.SENT


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM accounts_user",
        "SELECT * FROM accounts_mailedlink",
        "SELECT * FROM ledger_balance",
        "SELECT * FROM django_session",
        "DELETE FROM notifications_outgoingemail",
        "UPDATE notifications_outgoingemail SET \"to\" = 'x@example.org'",
        "INSERT INTO notifications_outgoingemail SELECT * FROM notifications_outgoingemail",
    ],
)
def test_it_can_do_nothing_else(statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(settings.DATABASE_DSN) as opened:
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['celery']}")
        opened.execute(statement)
