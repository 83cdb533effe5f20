"""Refusals of this app; codes are stable."""

from apps.common.errors import DomainError


class InvalidMarket(DomainError):
    """Settings that no engine accepts, or that contradict what exists."""

    code = "invalid_market"


class UnknownMarket(DomainError):
    code = "unknown_market"


class MarketExists(DomainError):
    code = "market_exists"


class AssetExists(DomainError):
    code = "asset_exists"


class UnknownAsset(DomainError):
    code = "unknown_asset"


class ChangePending(DomainError):
    """An earlier settings change of this market waits for the engine."""

    code = "change_pending"


class WrongState(DomainError):
    """The market's state does not allow the change."""

    code = "wrong_state"


class UnknownClass(DomainError):
    """No asset, or no market, is of that class."""

    code = "unknown_class"
