"""The sweep: what is due is nudged again, old content goes, and the figures are right."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import Settings
from redis import Redis

from apps.notifications import sweeping
from apps.notifications.models import EmailState, OutgoingEmail
from apps.notifications.nudging import tasks_waiting
from apps.notifications.policy import CONTENT_KEPT_S
from apps.notifications.sweeping import OLDEST, WAITING, sweep
from apps.notifications.tasks import deliver_email
from nebannpet.celery import app, broker_url

Queue = Callable[..., OutgoingEmail]
pytestmark = pytest.mark.django_db


def test_only_what_is_due_is_nudged_the_longest_waiting_first(queue: Queue, nudges: list[int]) -> None:
    young, old, later, sent = queue(), queue(), queue(), queue()
    OutgoingEmail.objects.filter(pk=old.pk).update(next_attempt_at=F("next_attempt_at") - timedelta(minutes=5))
    OutgoingEmail.objects.filter(pk=later.pk).update(next_attempt_at=F("next_attempt_at") + timedelta(minutes=5))
    OutgoingEmail.objects.filter(pk=sent.pk).update(state=EmailState.SENT, ended_at=F("created_at"))
    nudges.clear()
    assert sweep() == 2
    assert nudges == [old.pk, young.pk]


def test_one_sweep_is_bounded(queue: Queue, nudges: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_ROWS_MAX", 2)
    for _ in range(3):
        queue()
    assert sweep() == 2


@pytest.mark.parametrize(("waiting", "nudged"), [(0, 3), (2, 3), (3, 0), (4, 0)])
def test_what_has_its_nudge_in_the_queue_gets_no_other(
    queue: Queue, nudges: list[int], monkeypatch: pytest.MonkeyPatch, waiting: int, nudged: int
) -> None:
    for _ in range(3):
        queue()
    nudges.clear()
    monkeypatch.setattr(sweeping, "tasks_waiting", lambda: waiting)
    assert (sweep(), len(nudges)) == (nudged, nudged)


def test_the_queue_is_the_one_that_celery_fills(edge: Redis, redis_edge_url: str, settings: Settings) -> None:
    settings.REDIS_EDGE_URL = redis_edge_url
    assert tasks_waiting() == 0
    with app.connection_for_write(url=broker_url(redis_edge_url)) as connection:
        for number in (1, 2):
            deliver_email.apply_async((number,), connection=connection)
            assert tasks_waiting() == number


def test_without_redis_edge_the_rest_of_a_sweep_is_done(
    queue: Queue, nudges: list[int], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    queue()
    nudges.clear()
    settings.REDIS_EDGE_URL = "unix:///nowhere/redis.sock"
    monkeypatch.setattr(sweeping, "tasks_waiting", tasks_waiting)
    assert sweep() == 0
    assert nudges == []
    assert WAITING._value.get() == 1


def test_content_goes_a_week_after_the_end(queue: Queue) -> None:
    waiting, fresh, old = queue(), queue(), queue()
    OutgoingEmail.objects.exclude(pk=waiting.pk).update(state=EmailState.SENT, ended_at=F("created_at"))
    OutgoingEmail.objects.exclude(pk=fresh.pk).update(created_at=F("created_at") - timedelta(seconds=CONTENT_KEPT_S))
    OutgoingEmail.objects.filter(pk=old.pk).update(ended_at=F("ended_at") - timedelta(seconds=CONTENT_KEPT_S))
    sweep()
    kept = {email.pk for email in OutgoingEmail.objects.all() if email.content is not None}
    assert kept == {waiting.pk, fresh.pk}


def test_figures(queue: Queue) -> None:
    sweep()
    assert (WAITING._value.get(), OLDEST._value.get()) == (0, 0)
    one, _ = queue(), queue()
    OutgoingEmail.objects.filter(pk=one.pk).update(created_at=F("created_at") - timedelta(hours=1))
    sweep()
    assert WAITING._value.get() == 2
    assert 3600 <= OLDEST._value.get() < 3600 + 300
