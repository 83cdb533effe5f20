"""Celery's settings: what reliability.md 2.8 and 2.11 found out the hard way, and the broker's address."""

import pytest

from nebannpet.celery import VISIBILITY_TIMEOUT_S, app, broker_url


@pytest.mark.parametrize(
    ("ours", "kombus"),
    [
        ("redis://:secret@edge.example:6379/0", "redis://:secret@edge.example:6379/0"),
        ("rediss://edge.example/2", "rediss://edge.example/2"),
        ("unix:///run/with%20space/redis-edge.sock", "redis+socket:///run/with%20space/redis-edge.sock"),
        ("unix:///run/edge.sock?db=3", "redis+socket:///run/edge.sock?virtual_host=3"),
    ],
)
def test_broker_url(ours: str, kombus: str) -> None:
    assert broker_url(ours) == kombus


def test_a_lost_worker_loses_no_task_and_nothing_but_json_is_taken() -> None:
    conf = app.conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (True, True, 1)
    assert (conf.task_acks_on_failure, conf.task_acks_on_timeout) == (False, False)
    assert (conf.accept_content, conf.task_serializer, conf.result_serializer) == (["json"], "json", "json")


def test_the_visibility_timeout_stands_in_all_three_places() -> None:
    conf = app.conf
    places = (conf.broker_transport_options, conf.result_backend_transport_options, {**conf})
    assert [place["visibility_timeout"] for place in places] == [VISIBILITY_TIMEOUT_S] * 3


def test_repeated_tasks_exist() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
