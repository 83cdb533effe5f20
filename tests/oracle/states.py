"""Market states: moving, halting, and what a timer ends."""

from apps.streams.kinds import HaltCause, MarketState
from apps.streams.messages import BreakerRule
from apps.streams.records import MarketStateChanged
from tests.oracle import breakers
from tests.oracle.world import Market, World


def move(
    world: World,
    market: Market,
    state: int,
    cause: int,
    *,
    until_ms: int = 0,
    relay_seq: int = 0,
    source: int = 0,
) -> None:
    """The market is in `state` from now on, until `until_ms` where that is not 0; a timer it had is gone."""
    old, market.state = market.state, state
    if cause != HaltCause.BREAKER:
        market.halt_rule = market.reopens_ms = 0
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
        reopens_ms=market.reopens_ms,
        rule_id=market.halt_rule,
    )
    if state == MarketState.OPEN and old != MarketState.OPEN:
        breakers.restart(market)


def halt(world: World, market: Market, rule: BreakerRule) -> None:
    """A breaker halts the market."""
    market.reopens_ms = world.now + 1_000 * breakers.halt_s(world, market, rule)
    market.halt_rule = rule.rule_id
    move(world, market, MarketState.HALTED, HaltCause.BREAKER, until_ms=market.reopens_ms)


def timer(world: World, market: Market) -> None:
    """The end of a halt has come; where it is noticed too late, the halt goes on a little."""
    if world.now > market.due_ms + breakers.LATE_MS:
        market.reopens_ms = world.now + breakers.LATE_MS
        move(world, market, MarketState.HALTED, HaltCause.BREAKER, until_ms=market.reopens_ms)
    else:
        move(world, market, MarketState.OPEN, HaltCause.NONE)
