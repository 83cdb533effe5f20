"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.accounts.policy import OWN_FILES_WINDOW_S
from apps.common.errors import DomainError


class InvalidEmail(DomainError):
    code = "INVALID_EMAIL"


class InvalidApiKeyRequest(DomainError):
    """Label or rights of a new key are not acceptable."""

    code = "INVALID_API_KEY_REQUEST"


class InvalidKeyEnd(InvalidApiKeyRequest):
    """The key cannot end then, or never."""


class InvalidNetwork(DomainError):
    """Not an address or network that a key can be limited to."""

    code = "INVALID_NETWORK"


class InvalidPublicKey(DomainError):
    """Not a public key that can verify signatures here."""

    code = "INVALID_PUBLIC_KEY"


class ApiKeyRefused(DomainError):
    """The decision on sensitive actions (rules.py) says no, with its own code and message."""

    code = "API_KEY_REFUSED"


class TooManyApiKeys(DomainError):
    code = "TOO_MANY_API_KEYS"


class ApiKeyNotFound(DomainError):
    """No such key in this account. The same answer for a foreign key (threat-T13)."""

    code = "API_KEY_NOT_FOUND"


class NoTradingAccount(DomainError):
    code = "NO_TRADING_ACCOUNT"


class TooManyTickets(DomainError):
    code = "TOO_MANY_TICKETS"


class SecretUnreadable(DomainError):
    """A stored secret does not open with the configured key: wrong key, or the row was altered."""

    code = "SECRET_UNREADABLE"


class NotADemoAccount(DomainError):
    """`demo_account` was given the address of an ordinary account, which it does not touch."""

    code = "NOT_A_DEMO_ACCOUNT"


class TooManyAttempts(DomainError):
    """Refused without looking at the password, whether or not there is such an account."""

    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, message: str, *, retry_after_s: int | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeviceNeeded(TooManyAttempts):
    """So many have failed everywhere that the address needs a browser that is known, or a link by e-mail."""

    code = "DEVICE_NEEDED"


class TooManyFiles(DomainError):
    """The file of own data was asked for too often."""

    code = "TOO_MANY_FILES"
    retry_after_s = OWN_FILES_WINDOW_S


class DeviceNotFound(DomainError):
    """No such browser of this user. The same answer for a foreign one (threat-T13)."""

    code = "DEVICE_NOT_FOUND"


class SessionNotFound(DomainError):
    """No such open session of this user. The same answer for a foreign one (threat-T13)."""

    code = "SESSION_NOT_FOUND"


class NotLocked(DomainError):
    """There is no lock that staff could release."""

    code = "NOT_LOCKED"


class LinkDead(DomainError):
    """Unknown, altered, used, expired, or overtaken by a later change."""

    code = "LINK_DEAD"


class AddressTaken(DomainError):
    """Told only to who has proved to read the mail of the address."""

    code = "ADDRESS_TAKEN"


class TooBusy(DomainError):
    """No turn for hashing a password came within HASH_QUEUE_S: a page with status 503."""

    code = "TOO_BUSY"
    retry_after_s = 5


class ChangePending(DomainError):
    """An earlier request about the same account or rule waits for the engine."""

    code = "CHANGE_PENDING"


class FamilyNested(DomainError):
    """A family has one head, which is in no other family."""

    code = "FAMILY_NESTED"


class InvalidAllocation(DomainError):
    """No engine would take this rule."""

    code = "INVALID_ALLOCATION"


class UnknownAllocation(DomainError):
    code = "UNKNOWN_ALLOCATION"


class TooManyAllocations(DomainError):
    code = "TOO_MANY_ALLOCATIONS"


class InvalidLabel(DomainError):
    """Not a name that a sub-account can have."""

    code = "INVALID_LABEL"


class LabelTaken(DomainError):
    """Another account of the same owner has this name."""

    code = "LABEL_TAKEN"


class TooManySubAccounts(DomainError):
    code = "TOO_MANY_SUB_ACCOUNTS"


class MainAccountStays(DomainError):
    """The master account has a fixed name and cannot be frozen by its owner."""

    code = "MAIN_ACCOUNT_STAYS"


class FactorMissing(DomainError):
    """Asked of a user who has no second factor, or whose set-up of one is not there any more."""

    code = "FACTOR_MISSING"


class FactorNeeded(DomainError):
    """It cannot be removed: something that the user has must not be without a second factor (requirement A3)."""

    code = "FACTOR_NEEDED"


class WrongCode(DomainError):
    """Not the code of this moment, used already, or no code at all."""

    code = "WRONG_CODE"


class PasskeyRefused(DomainError):
    """What came is not the answer to an open question, or not of a passkey that counts here."""

    code = "PASSKEY_REFUSED"


class PasskeyNotFound(DomainError):
    """No such passkey of this user. The same answer for a foreign one (threat-T13)."""

    code = "PASSKEY_NOT_FOUND"


class InvalidPasskeyName(DomainError):
    code = "INVALID_PASSKEY_NAME"


class TooManyPasskeys(DomainError):
    code = "TOO_MANY_PASSKEYS"


class UserNotFound(DomainError):
    """No user of that number."""

    code = "USER_NOT_FOUND"


class AccountClosed(DomainError):
    """The owner has closed the account: nobody opens it again."""

    code = "ACCOUNT_CLOSED"


class NotInRole(DomainError):
    """There is no role of staff to take from this user."""

    code = "NOT_IN_ROLE"


class SwitchedAlready(DomainError):
    """The user is switched off already."""

    code = "SWITCHED_ALREADY"


class ResetRefused(DomainError):
    """A link to a new password would not work for this user."""

    code = "RESET_REFUSED"


class NotOneself(DomainError):
    """Staff do not do this to their own account."""

    code = "NOT_ONESELF"


class StaffOnlyByAdmins(DomainError):
    """A member of the staff is switched off only by who says who is staff."""

    code = "STAFF_ONLY_BY_ADMINS"


class UnknownRole(DomainError):
    """Not a role of the table in staffroles.py."""

    code = "UNKNOWN_ROLE"


class UnknownZone(DomainError):
    """Not a time zone that pages can show times in."""

    code = "UNKNOWN_ZONE"


class CannotClose(DomainError):
    """Something of the account is left, or on its way; the message names it."""

    code = "CANNOT_CLOSE"


class LostFactorCaseOver(DomainError):
    """Its user has another password than when it was opened, or the account is locked or off."""

    code = "LOST_FACTOR_CASE_OVER"
