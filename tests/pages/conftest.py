"""One world for the tests of pages; what a request changes in it is undone before the next."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from tests.pages.world import World, make_world


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    # Refusals by the hundred, each with its traceback.
    for name in ("django.request", "django.security.csrf"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    # No engine answers here, and no page is to wait for it.
    monkeypatch.setattr("apps.outbox.admin.ANSWER_WAIT_S", 0)
    monkeypatch.setattr("apps.orders.allocationviews.ANSWER_WAIT_S", 0)
    return make_world()


@pytest.fixture
def undone() -> Any:
    @contextmanager
    def block() -> Iterator[None]:
        mark = transaction.savepoint()
        try:
            yield
        finally:
            transaction.savepoint_rollback(mark)

    return block
