"""Which markets a public request asks for: by symbol, by symbols, by status, or all."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from apps.gateway import errors
from apps.gateway.dialect import STATE_STATUS
from apps.gateway.markets import Market
from apps.gateway.marketstate import newest_state
from apps.gateway.params import Choice, Symbol, Symbols

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

SYMBOL_OR_ALL: Final = (Symbol("symbol"), Symbols("symbols"))
STATUS: Final = Choice(
    "symbolStatus", values={name: name for name in STATE_STATUS.values()}, refuse=errors.invalid_symbol_status
)


def chosen(gateway: "Gateway", values: Mapping[str, Any]) -> list[Market]:
    """The markets named by `symbol` or `symbols`, all without either; both at once are refused."""
    if values["symbol"] is not None:
        if values["symbols"] is not None:
            raise errors.not_required("symbols")
        return [gateway.markets.get(values["symbol"])]
    if values["symbols"] is not None:
        return [gateway.markets.get(symbol) for symbol in values["symbols"]]
    return list(gateway.markets.by_symbol.values())


def has_status(gateway: "Gateway", market: Market, status: str | None) -> bool:
    return status is None or STATE_STATUS[newest_state(market, gateway.public.known(market))] == status


def check_status(gateway: "Gateway", market: Market, status: str | None) -> None:
    """Of one market asked for by name; where several are asked for, those with another status are left out."""
    if not has_status(gateway, market, status):
        raise errors.symbol_status_differs()
