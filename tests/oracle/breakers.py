"""Circuit breakers: every window is measured anew from the prints themselves (matching-rules 6)."""

from dataclasses import dataclass, field

from apps.streams.events import HaltDistance
from apps.streams.kinds import BreakerMeasure, MarketState
from apps.streams.messages import BreakerRule
from tests.oracle.world import Market, World

HALT_S_MAX = 300
HOUR_MS = 3_600_000

Print = tuple[int, int, int]  # (t_ms, price, lots)


@dataclass(slots=True)
class Window:
    """Prints of a rule since its window began; `first` is the one price it knew then, as its `before`."""

    rule: BreakerRule
    first: int | None
    prints: list[Print] = field(default_factory=list)


def measured(window: Window, now: int, more: list[Print]) -> tuple[list[Print], int | None]:
    """The prints whose bucket counts, and the last one of the newest bucket that has left."""
    len_ms = -(-window.rule.window_ms // 300)
    counted: list[Print] = []
    before = window.first
    for each in window.prints + more:
        if (each[0] // len_ms + 1) * len_ms > now - window.rule.window_ms:
            counted.append(each)
        else:
            before = each[1]
    return counted, before


def totals(prints: list[Print]) -> tuple[int, int]:
    """(price x lots, lots)"""
    return sum(price * lots for _, price, lots in prints), sum(lots for _, _, lots in prints)


def forbids(window: Window, now: int, price: int, more: list[Print]) -> bool:
    """Whether the rule forbids a print at the price. `more` are prints on paper behind the real ones."""
    rule = window.rule
    counted, before = measured(window, now, more)
    if rule.measure == BreakerMeasure.PRICE:
        prices = [p for _, p, _ in counted] + ([before] if before is not None else [])
        if not prices:
            return False
        low, high = min(prices), max(prices)
        return (price - low) * 10_000 > rule.bp * low or (high - price) * 10_000 > rule.bp * high
    volume, quantity = totals(counted)
    return quantity > 0 and abs(price * quantity - volume) * 10_000 > rule.bp * volume


def forbidding(world: World, market: Market, price: int, more: list[Print]) -> BreakerRule | None:
    """The first rule, by id, that forbids the print."""
    for rule_id in sorted(market.windows):
        if forbids(market.windows[rule_id], world.now, price, more):
            rule: BreakerRule = market.windows[rule_id].rule
            return rule
    return None


def record(world: World, market: Market, price: int, lots: int) -> None:
    for window in market.windows.values():
        window.prints.append((world.now, price, lots))
        # A window forgets what is older than two of its lengths, but the newest of that.
        if len(window.prints) > 300:
            old = [p for p in window.prints if p[0] < world.now - 2 * window.rule.window_ms]
            if old:
                window.first = old[-1][1]
                window.prints = window.prints[len(old) :]


def restart(market: Market) -> None:
    """The market comes to OPEN: each window begins anew, a PRICE one with the last price."""
    market.windows = {rule.rule_id: Window(rule, market.last_price) for rule in market.settings.breaker_rules}


def take_settings(market: Market) -> None:
    """Newer settings: a rule that stayed as it was keeps its window."""
    kept = market.windows
    market.windows = {
        rule.rule_id: kept[rule.rule_id]
        if rule.rule_id in kept and kept[rule.rule_id].rule == rule
        else Window(rule, market.last_price)
        for rule in market.settings.breaker_rules
    }


def distance(world: World, market: Market) -> tuple[int, int, int, int]:
    """(up, down, rule up, rule down): the nearest prices at which a print would trip, 0 where there is none."""
    ups: list[tuple[int, int]] = []
    downs: list[tuple[int, int]] = []
    for rule_id in sorted(market.windows):
        window = market.windows[rule_id]
        bp = window.rule.bp
        counted, before = measured(window, world.now, [])
        if window.rule.measure == BreakerMeasure.PRICE:
            prices = [p for _, p, _ in counted] + ([before] if before is not None else [])
            if not prices:
                continue
            up = min(prices) * (10_000 + bp) // 10_000 + 1
            down = -(-max(prices) * (10_000 - bp) // 10_000) - 1
        else:
            volume, quantity = totals(counted)
            if not quantity:
                continue
            up = volume * (10_000 + bp) // (10_000 * quantity) + 1
            down = -(-volume * (10_000 - bp) // (10_000 * quantity)) - 1
        ups.append((up, rule_id))
        if down > 0:
            downs.append((-down, rule_id))
    up, up_rule = min(ups, default=(0, 0))
    down, down_rule = min(downs, default=(0, 0))
    return up, -down, up_rule, down_rule


def tell_distance(world: World, market: Market) -> None:
    """At a TICK: in OPEN, at most once a second, only if it differs from what was told last."""
    if market.state != MarketState.OPEN or world.now < market.told_ms + 1_000:
        return
    found = distance(world, market)
    if found == market.told:
        return
    market.told, market.told_ms = found, world.now
    world.emit(
        HaltDistance,
        market_id=market.market_id,
        up_ticks=found[0],
        down_ticks=found[1],
        up_rule_id=found[2],
        down_rule_id=found[3],
    )


def halt_s(world: World, market: Market, rule: BreakerRule) -> int:
    """Length of a halt that begins now; counts it."""
    market.halts = [begun for begun in market.halts if begun > world.now - HOUR_MS] + [world.now]
    return min(HALT_S_MAX, rule.halt_s + 60 * (len(market.halts) - 1))
