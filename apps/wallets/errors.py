"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError
from apps.wallets.policy import TRANSFERS_WINDOW_S


class SameAccount(DomainError):
    """From and to are one account."""

    code = "SAME_ACCOUNT"


class UnknownAsset(DomainError):
    code = "UNKNOWN_ASSET"


class InvalidTransferAmount(DomainError):
    code = "INVALID_AMOUNT"


class InvalidClientId(DomainError):
    code = "INVALID_CLIENT_ID"


class ClientIdReused(DomainError):
    """The id already stands for another transfer of this user."""

    code = "CLIENT_ID_REUSED"


class TooManyTransfers(DomainError):
    code = "TOO_MANY_TRANSFERS"
    retry_after_s = TRANSFERS_WINDOW_S


class TransferNotAllowed(DomainError):
    """What the decision on sensitive actions said; its code and message (apps/accounts/rules.py)."""

    code = "TRANSFER_NOT_ALLOWED"
