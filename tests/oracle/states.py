"""Market states: moving, halting, and how a call phase begins."""

from apps.streams.events import MarketStateChanged
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.messages import BreakerRule
from tests.oracle import breakers
from tests.oracle.world import Market, World


def move(
    world: World,
    market: Market,
    state: int,
    cause: int,
    *,
    until_ms: int = 0,
    reopens_ms: int = 0,
    rule_id: int = 0,
    relay_seq: int = 0,
    source: int = 0,
) -> None:
    """The market is in `state` from now on, until `until_ms` where that is not 0; a timer it had is gone."""
    old, market.state = market.state, state
    market.reopens_ms, market.halt_rule = reopens_ms, rule_id
    market.due_ms, market.due_seq = until_ms, world.seq + 1
    world.emit(
        MarketStateChanged,
        market_id=market.market_id,
        relay_seq=relay_seq,
        source=source,
        old_state=old,
        new_state=state,
        cause=cause,
        until_ms=until_ms,
        reopens_ms=reopens_ms,
        rule_id=rule_id,
    )
    if state == MarketState.AUCTION and old != MarketState.AUCTION:
        market.indicative = (0, 0)
    if state == MarketState.OPEN and old != MarketState.OPEN:
        breakers.restart(market)


def halt(world: World, market: Market, rule: BreakerRule) -> None:
    """A breaker halts the market; a call phase is the last part of the halt."""
    market.call_ms = 1_000 * market.settings.call_s
    reopens_ms = world.now + 1_000 * breakers.halt_s(world, market, rule)
    move(
        world,
        market,
        MarketState.HALTED,
        HaltCause.BREAKER,
        until_ms=reopens_ms - market.call_ms,
        reopens_ms=reopens_ms,
        rule_id=rule.rule_id,
    )


def call_by_staff(world: World, market: Market, cause: int, *, relay_seq: int, source: int) -> None:
    """Staff begins a call phase."""
    market.call_ms = 1_000 * market.settings.call_s
    market.extensions = 0
    until = world.now + market.call_ms
    move(
        world, market, MarketState.AUCTION, cause, until_ms=until, reopens_ms=until, relay_seq=relay_seq, source=source
    )
