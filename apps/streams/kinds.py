"""Vocabulary of the command and event streams. Numbers are stored for ever: never change or reuse one."""

from enum import IntEnum, IntFlag
from typing import Final


class CommandKind(IntEnum):
    TICK = 1
    PLACE_ORDER = 2
    CANCEL_ORDER = 3
    CANCEL_ALL = 4
    AMEND_ORDER = 5
    REPLACE_ORDER = 6
    PLACE_LIST = 7
    SET_CANCEL_TIMER = 8
    PLACE_BLOCK = 9
    CREDIT = 10
    DEBIT = 11
    HOLD = 12
    RELEASE = 13
    CAPTURE = 14
    TRANSFER = 15
    SET_ASSET = 20
    SET_MARKET = 21
    SET_MARKET_STATE = 22
    SET_ACCOUNT = 23
    SET_ALLOCATION = 24
    REVIEW_ORDER = 25
    SET_CLASS_STATE = 26


# Commands that bring a new order: what back-pressure and an outage refuse, while cancels and money commands pass. The
# cancel of a cancel-replace is refused with it.
ORDER_CREATING: Final = frozenset(
    {CommandKind.PLACE_ORDER, CommandKind.REPLACE_ORDER, CommandKind.PLACE_BLOCK, CommandKind.PLACE_LIST}
)


class EventKind(IntEnum):
    ORDER_ACCEPTED = 1
    ORDER_REJECTED = 2
    ORDER_DUPLICATE = 3
    TRADE = 4
    ORDER_RESTED = 5
    ORDER_CLOSED = 6
    CANCEL_REJECTED = 7
    ALL_CANCELED = 8
    PREVENTED_MATCH = 9
    MONEY_MOVED = 10
    RELAY_REFUSED = 11
    SETTINGS_APPLIED = 20
    MARKET_STATE_CHANGED = 21
    INTERNAL_REJECT = 30
    ICEBERG_REFILLED = 40
    ORDER_TRIGGERED = 41
    ORDER_AMENDED = 42
    ORDER_PARKED = 43
    CANCEL_TIMER_SET = 45
    LIST_CHANGED = 44
    ALLOCATED = 46
    AUCTION_PRICE = 47
    HALT_DISTANCE = 48
    AMEND_REJECTED = 49
    LIST_REJECTED = 50
    LIST_DUPLICATE = 51
    PENDING_ENTERED = 52
    ORDER_REVIEWED = 53
    LEVEL_CHANGED = 56


class Side(IntEnum):
    BUY = 0
    SELL = 1


class OrderKind(IntEnum):
    LIMIT = 1
    MARKET = 2
    LIMIT_MAKER = 3  # rests or is refused; never takes
    STOP_LOSS = 4  # conditional, from here on: waits for its trigger, then is a market order
    STOP_LOSS_LIMIT = 5  # ... then a limit order
    TAKE_PROFIT = 6
    TAKE_PROFIT_LIMIT = 7


CONDITIONAL_KINDS: Final = frozenset(
    {OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT}
)


class TimeInForce(IntEnum):
    NONE = 0  # market orders
    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4  # until expires_ms


class StpMode(IntEnum):
    """Self-trade prevention (T8); there is no NONE. The taker's mode decides."""

    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3
    DECREMENT = 4  # both lose what would have printed


class ReplaceMode(IntEnum):
    """What a cancel-replace does when the order to cancel is not open."""

    STOP_ON_FAILURE = 1
    ALLOW_FAILURE = 2


class ListKind(IntEnum):
    """Orders that depend on one another (T4)."""

    OCO = 1  # one cancels the other
    OTO = 2  # the working order, filled whole, brings the pending one
    OTOCO = 3  # the same with two pending ones that are an OCO


class ListStatus(IntEnum):
    """What LIST_CHANGED says of an order list."""

    EXEC_STARTED = 1
    UPDATED = 2  # the working order has filled: the pending part takes its turn
    ALL_DONE = 3


class Waiting(IntEnum):
    """Why an open order stands in no book; 0 is one that does."""

    CONDITIONAL = 1  # its price has not been reached
    PENDING = 2  # in a list, until the working order has filled
    PARKED = 3  # staff has to review it
    TRIGGERED = 4  # in the market's queue of triggered orders


class Review(IntEnum):
    """What staff decides about a parked order."""

    RELEASE = 1
    REJECT = 2


class AllocationMethod(IntEnum):
    """How a block order's quantity is divided among sub-accounts (T12)."""

    FIXED = 1  # basis points of the rule, together 10,000
    EQUAL = 2
    PRO_RATA = 3  # each account's requested lots in the command


class AllocationStep(IntEnum):
    """What happened to a sub-account's share of a block order (ALLOCATED)."""

    HELD = 1  # the order was accepted: final_lots are held
    FILLED = 2  # it got lots of a trade
    PREVENTED = 3  # it lost lots to a prevented match (DECREMENT), without money
    RELEASED = 4  # the order ended: what it was still to get is not held any more


class MarketState(IntEnum):
    """T10; what passes in each is the table of matching-rules.md section 9."""

    PRE_LAUNCH = 1
    OPEN = 2
    POST_ONLY = 3
    HALTED = 4
    AUCTION = 5
    CANCEL_ONLY = 6
    CLOSED = 7


class HaltCause(IntEnum):
    NONE = 0
    STAFF = 1
    INVARIANT = 2  # the worker's: the engine found itself wrong
    POISON = 3  # the engine's own: too many commands of the market were skipped
    CLOCK = 4  # the worker's: the time of redis-core jumped ahead
    BREAKER = 5  # the engine's own: a print would have broken a circuit breaker
    NO_AUCTION_PRICE = 6  # the engine's own: a call auction found no price within the collar, and may not go on
    AUCTION_EXTENDED = 7  # the engine's own: a call phase goes on


class BreakerMeasure(IntEnum):
    """What a circuit breaker compares a print with: the lowest and highest print of its window, or its average."""

    PRICE = 1
    VWAP = 2


class OrderStatus(IntEnum):
    """Last state of an order; the API's words."""

    NEW = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELED = 4
    REJECTED = 5
    EXPIRED = 6
    EXPIRED_IN_MATCH = 7
    PENDING_NEW = 8


class Reason(IntEnum):
    """Why a command was refused or an order ended."""

    NONE = 0
    INSUFFICIENT_BALANCE = 1
    UNKNOWN_ACCOUNT = 2
    UNKNOWN_MARKET = 3
    UNKNOWN_ASSET = 4
    UNKNOWN_ORDER = 5
    UNKNOWN_HOLD = 6
    DUPLICATE_CLIENT_ID = 7
    DUPLICATE_HOLD = 8
    STALE_SETTINGS = 9
    MALFORMED = 10
    OVERFLOW = 11
    PRICE_FILTER = 12
    LOT_SIZE = 13
    NOTIONAL = 14
    PERCENT_PRICE = 15
    MAX_NUM_ORDERS = 16
    MARKET_NOT_OPEN = 17
    MARKET_HALTED = 18
    MARKET_CANCEL_ONLY = 19
    MARKET_CLOSED = 20
    SELF_TRADE = 21
    NO_LIQUIDITY = 22
    BUDGET_SPENT = 23
    CANCELED_BY_USER = 24
    CANCELED_BY_STAFF = 25
    INVALID_SETTINGS = 26
    MARKET_IN_USE = 27
    CAPTURE_ABOVE_HOLD = 28
    ACCOUNT_HAS_ORDERS = 29
    ENGINE_RESTARTED = 30
    INTERNAL = 31
    MARKET_LOT_SIZE = 32
    MARKET_POST_ONLY = 33
    MARKET_AUCTION = 34
    ENGINE_STOPPED = 35
    INVALID_STATE = 36  # a staff command names a state that it may not set
    EXPIRED_BY_TIME = 37  # expires_ms was reached, by the timer or when a taker met the order
    EXPIRY_PASSED = 38  # a new order whose expires_ms is not later than now
    WOULD_MATCH = 39  # LIMIT_MAKER that would take
    ICEBERG_PARTS = 40  # too many displayed parts for the whole quantity
    AMEND_QUANTITY = 41  # not between what is filled and the current quantity
    CANCELED_BY_TIMER = 42  # the account's cancel-all-after
    WOULD_TRIGGER = 43  # a conditional order that would trigger at once
    HOLD_SPENT = 44  # what a conditional market buy held affords no further lot
    TRAILING_DELTA = 45  # a trailing distance out of range
    MAX_NUM_ALGO_ORDERS = 46  # too many conditional orders
    NOT_AMENDABLE = 47  # an order that stands in no book has no place to keep
    LIST_ENDED = 53  # another order of its list ended it
    LIST_LEGS = 54  # orders that make no such list
    MAX_NUM_ORDER_LISTS = 55
    LIST_UNCHANGEABLE = 56  # a member of a list cannot be amended
    BREAKER = 60  # the next print would have broken a circuit breaker
    BOOK_CROSSED = 61  # a staff command would open a crossed book, which only an auction does
    UNKNOWN_CLASS = 62  # no asset is of that class
    PARK_EXPIRED = 70  # nobody reviewed the parked order in time
    REJECTED_BY_STAFF = 71  # a parked order
    NOT_PARKED = 72  # a review of an order that is open, but not parked
    MAX_NUM_ICEBERG_ORDERS = 73
    UNKNOWN_ALLOCATION = 77  # the account has no such allocation rule
    ALLOCATION_WEIGHTS = 78  # requested lots that do not fit the rule, or add up to nothing
    ALLOCATION_FAMILY = 79  # a rule names an account outside the family of its owner
    BLOCK_UNCHANGEABLE = 80  # a block order can be neither amended nor replaced
    CANCEL_RESTRICTED = 81  # the order to cancel has not the status that the cancel asks for
    MAX_NUM_ORDER_AMENDS = 82  # the order was amended as often as its market allows


class Source(IntEnum):
    """Who numbers relayed commands; the engine keeps the last relay_seq of each."""

    DIRECT = 0
    OUTBOX = 1


class Counterparty(IntEnum):
    """Other side of a money command in the ledger. The posting rules stand in ledger/rules.py."""

    NONE = 0
    EXTERNAL = 1


class TickFlag(IntFlag):
    """Flags of TICK."""

    SNAPSHOT = 1  # the worker writes a snapshot as soon as this tick's batch is durable; the engine ignores it
    TAKEOVER = (
        2  # a takeover is about to trade, and may still fail: no sign of a worker that does; the engine ignores it
    )


class AccountFlag(IntFlag):
    """Flags of SET_ACCOUNT."""

    KEEP_FAMILY = 1  # only the fee tier changes; family_id is not read


class CancelFlag(IntFlag):
    """Flags of CANCEL_ORDER and REPLACE_ORDER, one at most: the status that the order to cancel must have."""

    ONLY_NEW = 1
    ONLY_PARTIALLY_FILLED = 2


class AcceptedFlag(IntFlag):
    """Flags of ORDER_ACCEPTED; the last two also say what an order's second frame gives (commands.Strategy)."""

    RESTED = 1  # nothing could match: the whole order stands in the book, `level_lots` says how its level now looks
    WAITING = 2  # it is open but in no book until its ORDER_TRIGGERED
    PENDING = 4  # it is open but in no book, and holds nothing, until its PENDING_ENTERED
    STRATEGY_ID = 8
    STRATEGY_TYPE = 16


class EnteredFlag(IntFlag):
    """Flags of PENDING_ENTERED."""

    WAITING = 1  # it waits for its trigger now


class TimerFlag(IntFlag):
    """Flags of CANCEL_TIMER_SET."""

    FIRED = 1  # its time has come: the ORDER_CLOSED events before this one are what it cancelled


class TradeFlag(IntFlag):
    """Flags of TRADE."""

    TAKER_IS_BUYER = 1
    MAKER_DONE = 2  # the maker is FILLED by this trade
    AUCTION = 8  # both orders were resting; no level is told, LEVEL_CHANGED follows
    TAKER_DONE = 4  # the taker is FILLED by this trade (orders with a quote budget end by ORDER_CLOSED instead)


class AllocatedFlag(IntFlag):
    """Flags of ALLOCATED."""

    TAKER = 1  # the block order was the taker of the trade


class ClosedFlag(IntFlag):
    """Flags of ORDER_CLOSED."""

    WAS_RESTING = 1  # it stood in the book: `level_lots` says how its level now looks
