"""Celery's part of e-mail: an id in, one call (architecture.md section 6). Any of these may run twice or never."""

from apps.notifications.delivery import deliver
from apps.notifications.sweeping import sweep
from nebannpet.celery import app


@app.task(name="notifications.deliver_email")  # type: ignore[untyped-decorator]
def deliver_email(email_id: int) -> None:
    deliver(email_id=email_id)


@app.task(name="notifications.sweep_emails")  # type: ignore[untyped-decorator]
def sweep_emails() -> None:
    sweep()
