"""The decision on sensitive actions (rules.py), as the platform API asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from rest_framework.request import Request

from apps.accounts.api.authentication import user_of
from apps.accounts.facts import Channel, Facts
from apps.accounts.rules import Action
from apps.accounts.services.ending import still_in
from apps.accounts.stepup import decision_on, facts_of
from apps.web.api.access import caller_of
from apps.web.api.problems import Refused
from apps.web.api.views import http_request


def allowed_or_refused(request: Request, action: Action) -> None:
    """Of a session. Raises Refused with the code of the decision."""
    decision = decision_on(http_request(request), action)
    if not decision.is_allowed:
        raise Refused(decision.code, decision.message)


@contextmanager
def still_asking(request: Request) -> Iterator[None]:
    """The transaction of what the caller changes. A session must still live in it (SessionEnded); a key signed this
    very request.
    """
    if caller_of(request).by_key:
        with transaction.atomic():
            yield
    else:
        with still_in(http_request(request)):
            yield


def facts_about(request: Request, action: Action) -> Facts:
    """What is known of the caller; to be decided by where it takes effect."""
    if not caller_of(request).by_key:
        return facts_of(http_request(request), action)
    user = user_of(request)
    return Facts(
        user_id=user.pk,
        channel=Channel.API_KEY,
        is_active=user.is_active,
        is_staff=user.is_staff,
        withdrawals_held_until=user.withdrawals_held_until,
    )
