"""Assets, markets, accounts and allocation rules as they are set by command."""

from typing import Final

from apps.matching.engine.accounts import Account, Asset
from apps.matching.engine.allocation_rules import AllocationRule
from apps.matching.engine.framing import fields_of
from apps.matching.engine.market import Market
from apps.matching.engine.state import State
from apps.streams.codec import Settings, decode_settings
from apps.streams.kinds import AccountFlag, CommandKind, MarketState, Reason
from apps.streams.messages import MAX_FEE_TIERS, AllocationSettings, AssetSettings, MarketSettings, SettingsError
from apps.streams.records import FRAME_SIZE, FrameError

_unpack_control = fields_of(CommandKind.SET_MARKET).unpack_from
_unpack_account = fields_of(CommandKind.SET_ACCOUNT).unpack_from
_KEEP_FAMILY: Final = int(AccountFlag.KEEP_FAMILY)
_UNITS_MAY_CHANGE_IN: Final = frozenset({int(MarketState.PRE_LAUNCH), int(MarketState.CLOSED)})


def set_asset(state: State, frames: bytes, offset: int) -> Reason | None:
    """A new asset, or another code or class for a known one."""
    settings = _body(frames, offset)
    if not isinstance(settings, AssetSettings):
        return Reason.INVALID_SETTINGS
    code = settings.code.encode("ascii")
    asset = state.assets.get(settings.asset_id)
    if asset is None:
        asset = state.assets[settings.asset_id] = Asset(settings.asset_id, code)
    asset.code, asset.asset_class = code, settings.asset_class.encode("ascii")
    _, _, _, _, relay_seq, source, _ = _unpack_control(frames, offset)
    state.journal.settings_applied(CommandKind.SET_ASSET, relay_seq, source, settings.asset_id)
    return None


def set_market(state: State, frames: bytes, offset: int) -> Reason | None:
    """A new market, which starts in PRE_LAUNCH, or newer settings for a known one.

    Tick and lot change only in an empty market that is closed or not launched; prices in old ticks mean nothing in
    new ones, so the last price is forgotten then. The assets never change.
    """
    settings = _body(frames, offset)
    _, _, market_id, _, relay_seq, source, _ = _unpack_control(frames, offset)
    if not isinstance(settings, MarketSettings) or settings.market_id != market_id:
        return Reason.INVALID_SETTINGS
    base_asset, quote_asset = state.assets.get(settings.base_asset_id), state.assets.get(settings.quote_asset_id)
    if base_asset is None or quote_asset is None:
        return Reason.UNKNOWN_ASSET
    market = state.markets.get(market_id)
    if market is None:
        state.markets[market_id] = Market(settings, base_asset, quote_asset)
    else:
        if settings.settings_version <= market.settings_version:
            return Reason.STALE_SETTINGS
        if market.base_asset is not base_asset or market.quote_asset is not quote_asset:
            return Reason.INVALID_SETTINGS
        if (settings.tick_size, settings.lot_size) != (market.settings.tick_size, market.settings.lot_size):
            if market.state not in _UNITS_MAY_CHANGE_IN or not market.is_empty():
                return Reason.MARKET_IN_USE
            market.last_price_ticks = 0
            market.breaker = None  # what its windows saw was in old ticks
        market.apply(settings)
    state.journal.settings_applied(
        CommandKind.SET_MARKET,
        relay_seq,
        source,
        market_id,
        market_id=market_id,
        settings_version=settings.settings_version,
    )
    return None


def set_account(state: State, frames: bytes, offset: int) -> Reason | None:
    """Family and fee tier; the family only without open orders (matching-rules.md 4). Makes a new account."""
    parts, flags, _, account_id, relay_seq, source, family_id, fee_tier = _unpack_account(frames, offset)
    if parts != 1 or flags & ~_KEEP_FAMILY or account_id == 0 or fee_tier >= MAX_FEE_TIERS:
        return Reason.MALFORMED
    account = state.accounts.get(account_id)
    if flags & _KEEP_FAMILY and account is not None:
        family_id = account.family_id
    elif flags & _KEEP_FAMILY or not family_id:
        family_id = account_id
    if account is None:
        account = state.accounts[account_id] = Account(account_id, 0, fee_tier)
        state.join_family(account, family_id)
    else:
        if account.family_id != family_id and account.has_open_orders():
            return Reason.ACCOUNT_HAS_ORDERS
        state.join_family(account, family_id)
        account.fee_tier = fee_tier
    state.journal.settings_applied(
        CommandKind.SET_ACCOUNT,
        relay_seq,
        source,
        account_id,
        account_id=account_id,
        family_id=family_id,
        fee_tier=fee_tier,
    )
    return None


def set_allocation(state: State, frames: bytes, offset: int) -> Reason | None:
    """A new allocation rule of an account, another content for a known one, or, without accounts, its end (T12).

    Open block orders keep their shares. Whether the accounts are still in the owner's family is asked again for each
    new one.
    """
    settings = _body(frames, offset)
    _, _, _, account_id, relay_seq, source, _ = _unpack_control(frames, offset)
    if not isinstance(settings, AllocationSettings) or settings.account_id != account_id:
        return Reason.INVALID_SETTINGS
    owner = state.accounts.get(account_id)
    if owner is None:
        return Reason.UNKNOWN_ACCOUNT
    if settings.accounts:
        rule = AllocationRule(settings.method, settings.accounts, settings.weights_bp)
        if not rule.is_of_family(state, owner):
            return Reason.ALLOCATION_FAMILY
        owner.allocations[settings.rule_id] = rule
    else:
        owner.allocations.pop(settings.rule_id, None)
    state.journal.settings_applied(
        CommandKind.SET_ALLOCATION, relay_seq, source, settings.rule_id, account_id=account_id
    )
    return None


def _body(frames: bytes, offset: int) -> Settings | None:
    """The checked settings of the frame run at `offset`, None where they are not valid."""
    run = frames[offset : offset + frames[offset + 2] * FRAME_SIZE]
    try:
        settings = decode_settings(run)
        settings.check()
    except (FrameError, SettingsError):
        return None
    return settings
