"""Settings, accounts, market states and commands that were skipped."""

from typing import Any

import msgspec

from apps.streams.commands import SetAccount, SetAsset, SetClassState, SetMarket, SetMarketState
from apps.streams.events import InternalReject, SettingsApplied
from apps.streams.kinds import AccountFlag, HaltCause, MarketState, Reason
from apps.streams.messages import AssetSettings, MarketSettings, SettingsError
from tests.oracle import auction, breakers, states
from tests.oracle.ending import close_all
from tests.oracle.refusing import refuse
from tests.oracle.world import Account, Market, World

FEE_TIERS_MAX = 16
SKIPS_ALLOWED = 2
ENGINES_OWN = (HaltCause.POISON, HaltCause.BREAKER, HaltCause.NO_AUCTION_PRICE, HaltCause.AUCTION_EXTENDED)
TRADING_STATES = (MarketState.OPEN, MarketState.POST_ONLY, MarketState.AUCTION, MarketState.HALTED)


def applied(world: World, command: Any, object_id: int, *, version: int = 0, family: int = 0, tier: int = 0) -> None:
    world.emit(
        SettingsApplied,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        op=command.KIND,
        object_id=object_id,
        settings_version=version,
        family_id=family,
        fee_tier=tier,
    )


def set_asset(world: World, command: SetAsset, body: bytes | None) -> None:
    """`body` is None where the frames do not hold one."""
    try:
        settings = msgspec.msgpack.decode(body or b"", type=AssetSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        refuse(world, command, Reason.INVALID_SETTINGS, object_id=0)
        return
    try:
        settings.check()
    except SettingsError:
        refuse(world, command, Reason.INVALID_SETTINGS, object_id=0)
        return
    world.assets[settings.asset_id] = settings.asset_class
    applied(world, command, settings.asset_id)


def set_market(world: World, command: SetMarket, body: bytes | None) -> None:
    try:
        settings = msgspec.msgpack.decode(body or b"", type=MarketSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        refuse(world, command, Reason.INVALID_SETTINGS, object_id=command.market_id)
        return
    reason = market_settings_reason(world, command, settings)
    if reason:
        refuse(world, command, reason, object_id=command.market_id)
        return
    market = world.markets.get(settings.market_id)
    if market is None:
        market = world.markets[settings.market_id] = Market(settings)
    else:
        if sizes(market.settings) != sizes(settings):
            market.last_price = None
        market.settings = settings
    breakers.take_settings(market)
    applied(world, command, settings.market_id, version=settings.settings_version)


def sizes(settings: MarketSettings) -> tuple[int, int]:
    return settings.tick_size, settings.lot_size


def market_settings_reason(world: World, command: SetMarket, settings: MarketSettings) -> Reason:
    if settings.market_id != command.market_id:
        return Reason.INVALID_SETTINGS
    try:
        settings.check()
    except SettingsError:
        return Reason.INVALID_SETTINGS
    if not {settings.base_asset_id, settings.quote_asset_id} <= world.assets.keys():
        return Reason.UNKNOWN_ASSET
    market = world.markets.get(settings.market_id)
    if market is None:
        return Reason.NONE
    if settings.settings_version <= market.settings.settings_version:
        return Reason.STALE_SETTINGS
    if (settings.base_asset_id, settings.quote_asset_id) != (market.base, market.quote):
        return Reason.INVALID_SETTINGS
    if sizes(settings) != sizes(market.settings):
        empty = not any(order.market is market for order in world.orders.values())
        if not empty or market.state not in (MarketState.CLOSED, MarketState.PRE_LAUNCH):
            return Reason.MARKET_IN_USE
    return Reason.NONE


def set_account(world: World, command: SetAccount, *, readable: bool) -> None:
    account = world.accounts.get(command.account_id)
    family = command.family_id or command.account_id
    if command.flags & AccountFlag.KEEP_FAMILY:
        family = account.family if account is not None else command.account_id
    reason = Reason.NONE
    if not readable or command.account_id == 0 or command.fee_tier >= FEE_TIERS_MAX:
        reason = Reason.MALFORMED
    elif account is not None and account.family != family and has_orders(world, account):
        reason = Reason.ACCOUNT_HAS_ORDERS
    if reason:
        refuse(world, command, reason, object_id=command.account_id)
        return
    if account is None:
        account = world.accounts[command.account_id] = Account(command.account_id, family)
    account.family, account.fee_tier = family, command.fee_tier
    applied(world, command, command.account_id, family=family, tier=command.fee_tier)


def has_orders(world: World, account: Account) -> bool:
    """Open orders of its own, or a share in an open block order."""
    shares = [share for order in world.blocks for share in order.shares if share.final]
    return bool(account.orders) or any(share.account is account for share in shares)


def set_market_state(world: World, command: SetMarketState, *, readable: bool) -> None:
    market = world.markets.get(command.market_id)
    reason = Reason.NONE
    known = command.state in list(MarketState) and command.cause in list(HaltCause)
    if not readable or not known or command.cause in ENGINES_OWN:
        reason = Reason.MALFORMED
    elif market is None:
        reason = Reason.UNKNOWN_MARKET
    elif not may_set(market, command.state, command.cause):
        reason = Reason.INVALID_STATE
    elif would_open_crossed(world, market, command.state):
        reason = Reason.BOOK_CROSSED
    if reason or market is None:
        refuse(world, command, reason, object_id=command.market_id)
        return
    staff_moves(world, market, command)


def would_open_crossed(world: World, market: Market, state: int) -> bool:
    return state in (MarketState.OPEN, MarketState.POST_ONLY) and auction.is_crossed(world, market)


def staff_moves(world: World, market: Market, command: SetMarketState | SetClassState) -> None:
    if command.cause == HaltCause.STAFF:
        market.skips = 0
    alone = isinstance(command, SetMarketState)  # else SETTINGS_APPLIED has answered it
    numbers = {"relay_seq": command.relay_seq if alone else 0, "source": command.source if alone else 0}
    if command.state == MarketState.AUCTION:
        states.call_by_staff(world, market, command.cause, **numbers)
    else:
        states.move(world, market, command.state, command.cause, **numbers)
    if command.state == MarketState.CLOSED:
        close_all(world, [o for o in world.orders.values() if o.market is market], Reason.CANCELED_BY_STAFF)


def may_set(market: Market, state: int, cause: int) -> bool:
    if cause == HaltCause.CLOCK:
        return state == MarketState.HALTED and market.state in TRADING_STATES
    if cause == HaltCause.INVARIANT:
        return state == MarketState.CANCEL_ONLY and market.state in TRADING_STATES
    return state != MarketState.PRE_LAUNCH and (state != MarketState.AUCTION or market.settings.call_s > 0)


def set_class_state(world: World, command: SetClassState, *, readable: bool) -> None:
    """Every market of the class, by ascending id, that the command could move alone; new and closed ones stay."""
    known = command.state in list(MarketState) and command.cause in (HaltCause.NONE, HaltCause.STAFF)
    reason = Reason.NONE
    if not readable or not known or not command.asset_class:
        reason = Reason.MALFORMED
    elif command.state == MarketState.PRE_LAUNCH:
        reason = Reason.INVALID_STATE
    elif command.asset_class not in world.assets.values():
        reason = Reason.UNKNOWN_CLASS
    if reason:
        refuse(world, command, reason, object_id=0)
        return
    applied(world, command, 0)
    for market_id in sorted(world.markets):
        market = world.markets[market_id]
        if command.asset_class not in (world.assets[market.base], world.assets[market.quote]):
            continue
        if market.state in (MarketState.PRE_LAUNCH, MarketState.CLOSED):
            continue
        if may_set(market, command.state, command.cause) and not would_open_crossed(world, market, command.state):
            staff_moves(world, market, command)


# Poison


def skipped(world: World, command: Any, reason: Reason) -> None:
    """A command that is recorded as one that fails: an event, and a count that stops markets."""
    world.emit(
        InternalReject,
        reason=reason,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=getattr(command, "relay_seq", 0),
        source=getattr(command, "source", 0),
        op=command.KIND,
    )
    if reason != Reason.INTERNAL:
        return
    market = world.markets.get(command.market_id)
    if market is not None:
        market.skips += 1
        if market.skips > SKIPS_ALLOWED:
            poison(world, market)
        return
    world.skips += 1
    if world.skips > SKIPS_ALLOWED:
        world.skips = 0
        for market_id in sorted(world.markets):
            poison(world, world.markets[market_id])


def poison(world: World, market: Market) -> None:
    if market.state in TRADING_STATES:
        states.move(world, market, MarketState.CANCEL_ONLY, HaltCause.POISON)
