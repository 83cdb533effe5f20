"""User data events in the dialect, with the exact fields in the exact order. Pure."""

from typing import Any, Final

from apps.common.amounts import format_units
from apps.gateway.dialect import (
    CONTINGENCIES,
    NO_LIST,
    NO_TRADE_GROUP,
    SIDE_NAMES,
    STATUS_NAMES,
    STP_NAMES,
    TIF_NAMES,
    TYPE_NAMES,
)
from apps.gateway.markets import Market, Markets
from apps.gateway.replies import OrderView, expiry_reason, fee_asset, reject_reason
from apps.gateway.timeunit import PER_MS
from apps.streams.events import ListChanged, MoneyMoved, PreventedMatch, Trade
from apps.streams.kinds import CommandKind, ListStatus, OrderStatus, StpMode, TradeFlag
from apps.streams.kinds import Side as SideKind

# What enters or leaves an account as a whole; a hold or release only moves money inside it.
_OUT: Final = frozenset({CommandKind.DEBIT, CommandKind.TRANSFER, CommandKind.CAPTURE})


def execution_report(
    kind: str,
    view: OrderView,
    market: Market,
    event: Any,
    now_ms: int,
    *,
    trade: Trade | None = None,
    is_taker: bool = True,
    cancel_id: str = "",
    prevented: PreventedMatch | None = None,
) -> dict[str, Any]:
    """`kind` is x: NEW (accepted, and again when triggered), TRADE, REPLACED (amended), REJECTED (by staff), CANCELED,
    EXPIRED or TRADE_PREVENTION (then with its match).

    On CANCELED `c` is the cancel's id and `C` the order's.
    """
    canceled = kind == "CANCELED"
    fee_units, asset = _fee(market, trade, is_taker=is_taker)
    last_lots = trade.quantity_lots if trade is not None else 0
    last_ticks = trade.price_ticks if trade is not None else 0
    report = {
        "e": "executionReport",
        "E": now_ms,
        "s": market.symbol,
        "c": (cancel_id or view.client_id) if canceled else view.client_id,
        "S": SIDE_NAMES[view.side],
        "o": TYPE_NAMES[view.kind],
        "f": TIF_NAMES[view.time_in_force],
        "q": market.quantity(view.shown_lots),
        "p": market.price(view.price_ticks),
        "P": market.price(view.stop_price_ticks),
        "F": market.quantity(view.display_lots),
        "g": view.list_id or NO_LIST,
        "C": view.client_id if canceled else "",
        "x": kind,
        "X": STATUS_NAMES[view.status],
        "r": reject_reason(event.reason) if kind in ("EXPIRED", "REJECTED") else "NONE",
        "i": view.order_id,
        "l": market.quantity(last_lots),
        "z": market.quantity(view.filled_lots),
        "L": market.price(last_ticks),
        "n": format_units(fee_units),
        "N": asset,
        "T": event.cmd_ms,
        "t": trade.trade_id if trade is not None else -1,
        **({"v": prevented.prevented_id} if prevented is not None else {}),
        "I": event.seq,
        "w": view.status in _WORKING and view.is_working,
        "m": trade is not None and not is_taker,
        "M": trade is not None,
        "O": view.created_ms,
        "Z": format_units(view.filled_quote_units),
        "Y": format_units(market.quote_units(last_ticks, last_lots)),
        "Q": format_units(view.budget_units),
        "W": view.working_ms or view.created_ms,
        "V": STP_NAMES[view.stp_mode],
    }
    if not view.is_working:
        del report["W"]  # it is there once the order works
    if view.trailing_bips:
        report["d"] = view.trailing_bips
    if view.strategy_id is not None:
        report["j"] = view.strategy_id
    if view.strategy_type is not None:
        report["J"] = view.strategy_type
    if kind == "EXPIRED" and view.status == OrderStatus.EXPIRED:
        report["eR"] = expiry_reason(view, event.reason)
    if prevented is not None:
        report |= _prevention(prevented, view, market)
    return report


def _prevention(match: PreventedMatch, view: OrderView, market: Market) -> dict[str, Any]:
    """What the order lost by this match (B) and in all (A), whom it met (U), and what would have printed (p*). The
    match's id (v) stands among the fields that every report has.
    """
    lost_lots = match.prevented_lots
    if match.stp_mode != StpMode.DECREMENT:
        lost_lots = view.lost_lots - view.prevented_lots
    is_taker = view.order_id == match.taker_order_id
    return {
        "A": market.quantity(view.lost_lots),
        "B": market.quantity(lost_lots),
        "u": NO_TRADE_GROUP,
        "U": match.maker_order_id if is_taker else match.taker_order_id,
        "Cs": market.symbol,
        "pl": market.quantity(match.prevented_lots),
        "pL": market.price(match.price_ticks),
        "pY": format_units(market.quote_units(match.price_ticks, match.prevented_lots)),
    }


_WORKING: Final = frozenset(status for status, name in STATUS_NAMES.items() if name in ("NEW", "PARTIALLY_FILLED"))


def _fee(market: Market, trade: Trade | None, *, is_taker: bool) -> tuple[int, str | None]:
    """(commission units, asset); the asset is null where there was no trade."""
    if trade is None:
        return 0, None
    taker_side = SideKind.BUY if trade.flags & TradeFlag.TAKER_IS_BUYER else SideKind.SELL
    fee_units = trade.taker_fee_units if is_taker else trade.maker_fee_units
    return fee_units, fee_asset(market, taker_side=taker_side, is_taker=is_taker, fee_units=fee_units)


def list_status(market: Market, event: ListChanged, orders: list[tuple[int, str]], now_ms: int) -> dict[str, Any]:
    """`orders` are (order_id, client id) of all its orders.

    EXEC_STARTED again when its pending orders begin: the dialect's UPDATED says that a client order id was changed.
    """
    done = event.status == ListStatus.ALL_DONE
    return {
        "e": "listStatus",
        "E": now_ms,
        "s": market.symbol,
        "g": event.list_id,
        "c": CONTINGENCIES[event.list_kind],
        "l": "ALL_DONE" if done else "EXEC_STARTED",
        "L": "ALL_DONE" if done else "EXECUTING",
        "r": "NONE",
        "C": event.list_client_id,
        "T": event.cmd_ms,
        "O": [{"s": market.symbol, "i": order_id, "c": client_id} for order_id, client_id in orders],
    }


def account_position(
    markets: Markets, balances: dict[int, tuple[int, int]], time_ms: int, now_ms: int
) -> dict[str, Any]:
    """Only the assets that changed, as (available, held) units by asset id."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": time_ms,
        "B": [
            {"a": markets.asset_code(asset_id), "f": format_units(available), "l": format_units(held)}
            for asset_id, (available, held) in balances.items()
        ],
    }


def balance_delta(event: MoneyMoved, account_id: int) -> int:
    """By how many units available + held of `account_id` changed."""
    delta = 0
    if event.account_id == account_id:
        if event.op == CommandKind.CREDIT:
            delta += event.amount_units
        elif event.op in _OUT:
            delta -= event.amount_units
    if event.to_account_id == account_id:
        delta += event.amount_units
    return delta


def balance_update(asset: str, delta_units: int, time_ms: int, now_ms: int) -> dict[str, Any]:
    return {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": format_units(delta_units), "T": time_ms}


def stream_terminated(now_ms: int) -> dict[str, Any]:
    return {"e": "eventStreamTerminated", "E": now_ms}


def listen_key_expired(listen_key: str, now_ms: int) -> dict[str, Any]:
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}


# One letter means different things in different events: u is a time here and a number there.
_TIMES: Final = {
    "executionReport": ("E", "T", "O", "W"), "outboundAccountPosition": ("E", "u"), "balanceUpdate": ("E", "T"),
    "listStatus": ("E", "T"),
}  # fmt: skip


def in_microseconds(event: dict[str, Any]) -> dict[str, Any]:
    """The same event with its times in microseconds."""
    times = _TIMES.get(event["e"], ("E",))
    return {name: value * PER_MS if name in times else value for name, value in event.items()}
