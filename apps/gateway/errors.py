"""Refusals in the dialect: code, exact text and HTTP status in one place (clients.md section 3).

Clients match some of the texts verbatim; they are marked by coming straight from the table there.
"""

from collections.abc import Mapping
from typing import Any, Final

from apps.common.errors import DomainError
from apps.gateway.policy import CONNECT_AGAIN_S, RECV_WINDOW_MAX_MS, RETRY_AFTER_S
from apps.streams.kinds import Reason


class ApiError(DomainError):
    """A refusal as a client sees it: HTTP status, `{"code": number, "msg": message}`, perhaps Retry-After or data."""

    def __init__(
        self, status: int, number: int, message: str, *, retry_after_s: int | None = None, data: Any = None,
        until_ms: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, code=str(number))
        self.status = status
        self.number = number
        self.retry_after_s = retry_after_s
        # When a limit has room again; the WebSocket API has no headers and shows it in `data`.
        self.until_ms = until_ms
        # What happened although the request failed: both halves of a cancel-replace.
        self.data = data

    def body(self) -> dict[str, Any]:
        """`{"code", "msg"}`, and `"data"` where there is some."""
        known = {"code": self.number, "msg": self.message}
        return known if self.data is None else {**known, "data": self.data}


# -- Not executed, unknown outcome, wrong place -----------------------------------------------------------------------
def not_executed() -> ApiError:
    """Nothing happened and nothing will: safe to try again."""
    return ApiError(
        503, -1001, "Internal error; unable to process your request. Please try again.", retry_after_s=RETRY_AFTER_S
    )


def unknown_outcome() -> ApiError:
    """The command may be in the log; only its events can tell."""
    return ApiError(
        504,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    )


def unknown_error() -> ApiError:
    return ApiError(500, -1000, "An unknown error occurred while processing the request.")


def unknown_path() -> ApiError:
    return ApiError(404, -1000, "There is no such endpoint.")


def unknown_socket_path() -> ApiError:
    return ApiError(404, -1000, "There is no such WebSocket; streams are at /ws and /stream, requests at /ws-api/v3.")


def wrong_method() -> ApiError:
    return ApiError(405, -1000, "This endpoint does not take this method.")


def request_too_large(limit: int) -> ApiError:
    return ApiError(413, -1101, f"Too much data sent for this endpoint; at most {limit} bytes are read.")


def request_too_slow() -> ApiError:
    return ApiError(408, -1000, "The request did not arrive in time.")


def body_not_a_form() -> ApiError:
    return ApiError(
        400,
        -1100,
        "Illegal characters found in the request body; send parameters in the query string or as "
        "application/x-www-form-urlencoded.",
    )


def malformed_frame(what: str) -> ApiError:
    return ApiError(400, -1135, f"The request is not valid JSON of the expected form: {what}.")


def unknown_ws_method() -> ApiError:
    return ApiError(400, -1000, "There is no such method.")


def too_many_requests() -> ApiError:
    return ApiError(429, -1003, "Too many requests at once on this connection.")


def too_many_connections(limit: int) -> ApiError:
    text = f"Too many connections from your address; at most {limit} at once."
    return ApiError(429, -1003, text, retry_after_s=CONNECT_AGAIN_S)


# -- Limits -----------------------------------------------------------------------------------------------------------
def too_much_weight(limit: int, until_ms: int, wait_s: int) -> ApiError:
    return ApiError(
        429,
        -1003,
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        retry_after_s=wait_s,
        until_ms=until_ms,
    )


def too_many_raw_requests(limit: int, until_ms: int, wait_s: int) -> ApiError:
    return ApiError(
        429,
        -1003,
        f"Too many requests; current limit is {limit} requests per 5 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        retry_after_s=wait_s,
        until_ms=until_ms,
    )


def banned(until_ms: int, wait_s: int) -> ApiError:
    return ApiError(
        418,
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        retry_after_s=wait_s,
        until_ms=until_ms,
    )


def too_many_orders(limit: int, interval: str, until_ms: int, wait_s: int) -> ApiError:
    return ApiError(
        429,
        -1015,
        f"Too many new orders; current limit is {limit} orders per {interval}.",
        retry_after_s=wait_s,
        until_ms=until_ms,
    )


# -- Parameters -------------------------------------------------------------------------------------------------------
def duplicate_parameter() -> ApiError:
    return ApiError(400, -1101, "Duplicate values for a parameter detected.")


def missing(name: str) -> ApiError:
    return ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def missing_one_of(first: str, second: str) -> ApiError:
    return ApiError(400, -1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def illegal_characters(name: str, legal: str) -> ApiError:
    return ApiError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def malformed_encoding() -> ApiError:
    return ApiError(400, -1100, "Illegal characters found in a parameter.")


def unread_parameters(names: list[str]) -> ApiError:
    """Names are shown so that a typing error is found at once; they are cut, since a client chose them."""
    shown = ", ".join(name[:40] for name in names[:5])
    return ApiError(400, -1104, f"Not all sent parameters were read; unknown here: '{shown}'.")


def empty(name: str) -> ApiError:
    return ApiError(400, -1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> ApiError:
    return ApiError(400, -1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> ApiError:
    return ApiError(400, -1111, f"Parameter '{name}' has too much precision.")


def unsupported_combination() -> ApiError:
    return ApiError(400, -1014, "Unsupported order combination.")


def invalid_time_in_force(message: str = "Invalid timeInForce.") -> ApiError:
    return ApiError(400, -1115, message)


def invalid_order_type(message: str = "Invalid orderType.") -> ApiError:
    return ApiError(400, -1116, message)


def invalid_side() -> ApiError:
    return ApiError(400, -1117, "Invalid side.")


def invalid_symbol_status() -> ApiError:
    return ApiError(400, -1122, "Invalid symbolStatus.")


def symbol_status_differs() -> ApiError:
    return ApiError(400, -1220, "The symbol's status does not match the requested symbolStatus.")


def invalid_ticker_type() -> ApiError:
    return ApiError(400, -1139, "Invalid ticker type.")


def repeated_symbols() -> ApiError:
    return ApiError(400, -1151, "Symbol is present multiple times in the list.")


def invalid_time_unit() -> ApiError:
    return ApiError(400, -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")


def invalid_interval() -> ApiError:
    return ApiError(400, -1120, "Invalid interval.")


def invalid_symbol() -> ApiError:
    return ApiError(400, -1121, "Invalid symbol.")


def listen_key_unknown() -> ApiError:
    return ApiError(400, -1125, "This listenKey does not exist.")


def range_too_long() -> ApiError:
    return ApiError(400, -1127, "More than 24 hours between startTime and endTime, or endTime before startTime.")


def bad_combination() -> ApiError:
    """Parameters that are fine by themselves and name different things together."""
    return ApiError(400, -1128, "Combination of optional parameters invalid.")


def not_valid(name: str) -> ApiError:
    return ApiError(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def invalid_cancel_restrictions() -> ApiError:
    return ApiError(400, -1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")


def filter_failure(name: str) -> ApiError:
    return ApiError(400, -1013, f"Filter failure: {name}")


def stp_mode_not_allowed() -> ApiError:
    return ApiError(400, -1013, "This symbol does not allow the specified self-trade prevention mode.")


def iceberg_exceeds_quantity() -> ApiError:
    return ApiError(400, -1013, "IcebergQty exceeds QTY.")


# -- Keys, signatures, time -------------------------------------------------------------------------------------------
def key_malformed() -> ApiError:
    return ApiError(401, -2014, "API-key format invalid.")


def key_refused() -> ApiError:
    return ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")


def account_frozen() -> ApiError:
    """Its owner froze it: cancels go on."""
    return ApiError(400, -2010, "This action is disabled on this account.")


def session_required() -> ApiError:
    return ApiError(401, -2015, "Log on first (session.logon), or sign the request with apiKey and signature.")


def foreign_origin() -> ApiError:
    return ApiError(403, -2015, "session.logon is for pages of this site only.")


def logon_needs_ed25519() -> ApiError:
    return ApiError(400, -4056, "HMAC_SHA256 API key is not supported. session.logon takes Ed25519 keys.")


def already_logged_on() -> ApiError:
    return ApiError(400, -1106, "This connection is logged on already.")


def too_many_subscriptions(limit: int) -> ApiError:
    return ApiError(
        400, -1191, f"Too many subscriptions. Connection may create up to '{limit}' subscriptions at a time."
    )


def from_seq_too_old() -> ApiError:
    return ApiError(
        400,
        -1130,
        "fromSeq is too old: events since then are not kept, or too many. Subscribe with returnSeq, then load account,"
        " openOrders, allOrders and myTrades.",
    )


def too_many_readings() -> ApiError:
    """Nothing happened; without fromSeq a subscription would begin at once."""
    text = "Too many subscriptions are reading what was missed (fromSeq). Please try again."
    return ApiError(503, -1008, text, retry_after_s=RETRY_AFTER_S)


def from_seq_ahead(seq: int) -> ApiError:
    return ApiError(400, -1130, f"fromSeq lies ahead: the newest event is {seq}.")


def subscription_active() -> ApiError:
    return ApiError(400, -2035, "User Data Stream subscription already active.")


def subscription_inactive() -> ApiError:
    return ApiError(400, -2036, "User Data Stream subscription not active.")


def subscription_ids_used_up() -> ApiError:
    return ApiError(400, -2042, "Maximum subscription ID reached for this connection.")


def bad_signature() -> ApiError:
    return ApiError(400, -1022, "Signature for this request is not valid.")


def too_late() -> ApiError:
    return ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> ApiError:
    return ApiError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def recv_window_too_large() -> ApiError:
    return ApiError(400, -1131, f"recvWindow must be less than {RECV_WINDOW_MAX_MS}.")


# -- Orders -----------------------------------------------------------------------------------------------------------
def cancel_refused() -> ApiError:
    return ApiError(400, -2011, UNKNOWN)


def cancel_failed() -> ApiError:
    """The engine failed at this very cancel. Not -2011, by which clients conclude that the order is gone."""
    return ApiError(400, -1000, "This cancel cannot be processed. Nothing was changed; please report it.")


def amend_refused(message: str) -> ApiError:
    return ApiError(400, -2038, message)


def replace_failed(data: Any) -> ApiError:
    """Neither half happened."""
    return ApiError(400, -2022, "Order cancel-replace failed.", data=data)


def replace_half_failed(data: Any) -> ApiError:
    """One half happened, and stays: `data` says which."""
    return ApiError(409, -2021, "Order cancel-replace partially failed.", data=data)


def order_unknown() -> ApiError:
    return ApiError(400, -2013, "Order does not exist.")


def oco_type() -> ApiError:
    return ApiError(400, -1158, "Order type not supported in OCO.")


def oco_both_limit() -> ApiError:
    return ApiError(400, -1168, "At least one OCO order must be contingent.")


def oco_limit_side(*, selling: bool) -> ApiError:
    if selling:
        return ApiError(400, -1166, "A limit order in a sell OCO must be above.")
    return ApiError(400, -1165, "A limit order in a buy OCO must be below.")


def oco_stop_side(*, selling: bool) -> ApiError:
    if selling:
        return ApiError(400, -1197, "A stop loss order in a sell OCO must be below.")
    return ApiError(400, -1196, "A stop loss order in a buy OCO must be above.")


def oco_profit_side(*, selling: bool) -> ApiError:
    if selling:
        return ApiError(400, -1199, "A take profit order in a sell OCO must be above.")
    return ApiError(400, -1198, "A take profit order in a buy OCO must be below.")


def list_cancel_refused() -> ApiError:
    return ApiError(400, -2011, "Unknown order list sent.")


def list_unknown() -> ApiError:
    return ApiError(400, -2018, "Order list does not exist.")


INSUFFICIENT: Final = "Account has insufficient balance for requested action."
CLOSED: Final = "Market is closed."
UNKNOWN: Final = "Unknown order sent."
AMEND_UP: Final = "Order amend (quantity increase) is not supported."
AMEND_SAME: Final = "The requested action would change no state; rejecting."
AMEND_TOO_LOW: Final = "The new quantity must be above what is filled."

# Engine reasons for which nothing happened, as (HTTP status, code, text). Reasons that end an accepted order
# (SELF_TRADE, NO_LIQUIDITY, ...) are no refusals and not here; a test finds a missing reason.
REFUSALS: Final[Mapping[Reason, tuple[int, int, str]]] = {
    Reason.INSUFFICIENT_BALANCE: (400, -2010, INSUFFICIENT),
    # The engine meets an account with its first credit, so an unknown one has no money.
    Reason.UNKNOWN_ACCOUNT: (400, -2010, INSUFFICIENT),
    Reason.UNKNOWN_MARKET: (400, -1121, "Invalid symbol."),
    Reason.UNKNOWN_ORDER: (400, -2011, UNKNOWN),
    Reason.DUPLICATE_CLIENT_ID: (400, -2010, "Duplicate order sent."),
    Reason.MALFORMED: (400, -1013, "The order's parameters do not fit together."),
    # A product or sum beyond 2^62 units: far above any notional that a market allows.
    Reason.OVERFLOW: (400, -1013, "Filter failure: NOTIONAL"),
    Reason.PRICE_FILTER: (400, -1013, "Filter failure: PRICE_FILTER"),
    Reason.LOT_SIZE: (400, -1013, "Filter failure: LOT_SIZE"),
    Reason.MARKET_LOT_SIZE: (400, -1013, "Filter failure: MARKET_LOT_SIZE"),
    Reason.NOTIONAL: (400, -1013, "Filter failure: NOTIONAL"),
    Reason.PERCENT_PRICE: (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Reason.MAX_NUM_ORDERS: (400, -1013, "Filter failure: MAX_NUM_ORDERS"),
    Reason.MARKET_NOT_OPEN: (400, -2010, CLOSED),
    Reason.MARKET_HALTED: (400, -2010, CLOSED),
    Reason.MARKET_AUCTION: (400, -2010, CLOSED),
    Reason.MARKET_CANCEL_ONLY: (400, -2010, CLOSED),
    Reason.MARKET_CLOSED: (400, -2010, CLOSED),
    Reason.MARKET_POST_ONLY: (400, -2010, "Order would immediately match and take."),
    Reason.WOULD_MATCH: (400, -2010, "Order would immediately match and take."),
    Reason.ICEBERG_PARTS: (400, -1013, "Filter failure: ICEBERG_PARTS"),
    Reason.AMEND_QUANTITY: (400, -2038, AMEND_TOO_LOW),
    Reason.WOULD_TRIGGER: (400, -2010, "Order would trigger immediately."),
    Reason.TRAILING_DELTA: (400, -1013, "Filter failure: TRAILING_DELTA"),
    Reason.MAX_NUM_ALGO_ORDERS: (400, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
    # Of the gateway's own checks only the prices are left to the engine.
    Reason.LIST_LEGS: (400, -2010, "The relationship of the prices for the orders is not correct."),
    Reason.MAX_NUM_ORDER_LISTS: (400, -1013, "Filter failure: MAX_NUM_ORDER_LISTS"),
    Reason.MAX_NUM_ORDER_AMENDS: (400, -1013, "Filter failure: MAX_NUM_ORDER_AMENDS"),
    Reason.LIST_UNCHANGEABLE: (400, -2038, "An order of a list cannot be amended."),
    Reason.NOT_AMENDABLE: (400, -2038, "This order is not in the book and cannot be amended."),
    Reason.MAX_NUM_ICEBERG_ORDERS: (400, -1013, "Filter failure: MAX_NUM_ICEBERG_ORDERS"),
    Reason.EXPIRY_PASSED: (400, -1013, "The order's end must lie in the future."),
    Reason.UNKNOWN_ALLOCATION: (400, -2010, "The account has no such allocation rule."),
    Reason.ALLOCATION_WEIGHTS: (400, -1013, "The requested quantities do not fit the allocation rule."),
    Reason.ALLOCATION_FAMILY: (400, -2010, "The allocation rule names an account that is not a sub-account any more."),
    Reason.BLOCK_UNCHANGEABLE: (400, -2011, "A block order can be neither amended nor replaced."),
    Reason.CANCEL_RESTRICTED: (400, -2011, "Order was not canceled due to cancel restrictions."),
    # The engine failed at this very order and goes on without it. The same order would fail again, so this is a
    # refusal and not a 503 to be repeated.
    Reason.INTERNAL: (400, -2010, "This order cannot be processed. Nothing was executed; please report it."),
}

# Not taken by the shard, through no fault of the command: the same one again may well be executed.
NOT_EXECUTED: Final = frozenset({Reason.STALE_SETTINGS, Reason.ENGINE_RESTARTED, Reason.ENGINE_STOPPED})


def refusal(reason: int) -> ApiError:
    """The dialect's error for an engine reason."""
    known = Reason(reason)
    if known in NOT_EXECUTED:
        return not_executed()
    status, number, message = REFUSALS[known]
    return ApiError(status, number, message)


def amend_refusal(reason: int) -> ApiError:
    """The same for an amendment: what concerns the order has a code of its own."""
    error = refusal(reason)
    return amend_refused(error.message) if error.number in (-2010, -2011) else error
