"""Names of our enums in the dialect, in both directions, and what this exchange supports today."""

from typing import Final

from apps.streams.kinds import (
    CancelFlag,
    ListKind,
    MarketState,
    OrderKind,
    OrderStatus,
    ReplaceMode,
    Side,
    StpMode,
    TimeInForce,
)

SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
ORDER_TYPES: Final = {
    kind.name: kind
    for kind in (
        OrderKind.LIMIT, OrderKind.LIMIT_MAKER, OrderKind.MARKET, OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT,
        OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT,
    )
}  # fmt: skip
# GTD is ours, with `goodTillDate` in milliseconds; the dialect has the other three.
TIMES_IN_FORCE: Final = {
    each.name: each for each in (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)
}
STP_MODES: Final = {mode.name: mode for mode in StpMode}
# The dialect has them, this exchange does not allow them (T8: self-trade prevention is never off).
STP_MODES_NOT_ALLOWED: Final = ("NONE", "TRANSFER")
REPLACE_MODES: Final = {mode.name: mode for mode in ReplaceMode}
CANCEL_RESTRICTIONS: Final = {str(flag.name): flag for flag in CancelFlag}
# Smaller numbers are the dialect's own.
STRATEGY_TYPE_MIN: Final = 1_000_000
STRATEGY_TYPE_MAX: Final = 2**31 - 1
RESPONSE_TYPES: Final = ("ACK", "RESULT", "FULL")

SIDE_NAMES: Final = {int(side): name for name, side in SIDES.items()}
# Answers name whatever the engine knows, also what requests may not ask for yet.
TYPE_NAMES: Final = {int(kind): kind.name for kind in OrderKind}
# The dialect shows GTC for market orders.
TIF_NAMES: Final = {int(each): each.name for each in TimeInForce} | {int(TimeInForce.NONE): "GTC"}
STP_NAMES: Final = {int(mode): mode.name for mode in StpMode}
STATUS_NAMES: Final = {int(status): status.name for status in OrderStatus}

# clients.md section 3: what a client sees of a market's state; the exact one stands in `marketState`.
STATE_STATUS: Final = {
    MarketState.PRE_LAUNCH: "BREAK",
    MarketState.OPEN: "TRADING",
    MarketState.POST_ONLY: "TRADING",
    MarketState.HALTED: "HALT",
    MarketState.AUCTION: "HALT",
    MarketState.CANCEL_ONLY: "CANCEL_ONLY",
    MarketState.CLOSED: "BREAK",
}

# An OTOCO is an OTO with two pending orders.
CONTINGENCIES: Final = {int(ListKind.OCO): "OCO", int(ListKind.OTO): "OTO", int(ListKind.OTOCO): "OTO"}

# A price or quantity that there is none of.
NOTHING: Final = "0.00000000"
NO_LIST: Final = -1
# No account belongs to a trade group by number; a family is one without.
NO_TRADE_GROUP: Final = -1
