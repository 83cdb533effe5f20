"""How often somebody may ask the platform API (threat-T20, buckets.py)."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.web.api.access import Caller
from apps.web.api.buckets import address_wait_s, wait_s
from apps.web.api.policy import PER_USER
from apps.web.api.problems import Refused
from apps.web.visitor import client_address


def admit(seconds: int) -> None:
    """Raises Refused, with the seconds to wait, where there are any."""
    if seconds:
        raise Refused("THROTTLED", f"Too many requests. Try again in {seconds} s.", retry_after_s=seconds)


def admit_address(request: Request) -> None:
    """Before anything else is looked at. Addresses are those that the gateway tells; headers change nothing (T19)."""
    admit(address_wait_s(client_address(request._request)))


class PerUser(BaseThrottle):
    """All sessions and keys of a user together, once it is known who asks."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Caller):
            admit(wait_s(f"user:{request.auth.user_id}", PER_USER))
        return True
