"""What `make bench BENCH=log-ins` counts are log-ins that the site let in, under its throttles."""

import time
from typing import Any

import pytest

from apps.accounts.models import OpenSession, PasswordAttempt, User
from tests.accounts.factors import with_app
from tests.accounts.people import PASSWORD
from tests.benchmarks.log_in_client import log_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_is_let_in_or_named(live_server: Any) -> None:
    alice, bob = (User.objects.create_user(f"{name}@example.org", PASSWORD) for name in ("alice", "bob"))
    secret, _ = with_app(bob)
    now_s = time.monotonic()
    plan = [(now_s, alice.email, ""), (now_s + 0.1, bob.email, secret), (now_s + 0.2, "nobody@example.org", "")]
    outcome = log_in(live_server.thread.port, plan)
    assert outcome.failed == ["nobody@example.org: ValueError('/account/log-in: 422')"]
    assert len(outcome.took_ms) == 2
    assert set(OpenSession.objects.values_list("user__email", flat=True)) == {alice.email, bob.email}
    assert PasswordAttempt.objects.count() == 3, "the throttle counted them"
