"""Who may do what: each view declares it for each of its methods, and what nobody declared is refused (threat-T13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.web.api.problems import Refused


class Access(Enum):
    """The texts stand in the description of the API."""

    PUBLIC = "Everyone, without a log-in."
    READ = "A session, or an API key with the right to read; a sub-account's key sees that account alone."
    READ_ALL = "A session, or an API key of the master account with the right to read."
    TRADE_ALL = "A session, or an API key of the master account with the right to trade."
    SESSION = "A session only: no API key can do this."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking; `request.auth` of every request that is not anonymous.

    `key_account_id` is the account of the API key, None for a session, which has every right in all accounts.
    """

    user_id: int
    key_account_id: int | None = None
    is_master: bool = True
    can_read: bool = True
    can_trade: bool = True

    @property
    def by_key(self) -> bool:
        return self.key_account_id is not None

    @property
    def only_account_id(self) -> int | None:
        """The one account that the caller sees, None for all of the user."""
        return None if self.is_master else self.key_account_id


SAFE: Final = {"HEAD": "GET"}


class DeclaredAccess(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        declared: Mapping[str, Access] = getattr(view, "access", {})
        access = declared.get(SAFE.get(request.method or "", request.method or ""))
        if access is None:
            raise Refused("ACCESS_DENIED", "Nobody may do this: the address does not say who may.")
        if access is Access.PUBLIC:
            return True
        caller = request.auth
        if not isinstance(caller, Caller):
            raise Refused("LOG_IN_NEEDED", "Log in, or sign the request with an API key.")
        if reason := _refusal(access, caller):
            raise Refused("ACCESS_DENIED", reason)
        return True


def caller_of(request: Request) -> Caller:
    """Of a request that DeclaredAccess has let through, where that is not PUBLIC."""
    assert isinstance(request.auth, Caller), "the view declares PUBLIC"
    return request.auth


def _refusal(access: Access, caller: Caller) -> str:
    """Why not; empty where the caller may."""
    if not caller.by_key:
        return ""
    if access is Access.SESSION:
        return "An API key cannot do this. Log in to do it."
    if access in (Access.READ_ALL, Access.TRADE_ALL) and not caller.is_master:
        return "A key of a sub-account cannot do this. Use one of the master account."
    if access is Access.TRADE_ALL:
        return "" if caller.can_trade else "This API key has no right to trade."
    return "" if caller.can_read else "This API key has no right to read."
