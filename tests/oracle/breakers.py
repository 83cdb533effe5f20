"""Circuit breakers: every window is measured anew from the prints themselves (matching-rules 6)."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from apps.streams.kinds import BreakerMeasure, MarketState
from apps.streams.messages import BreakerRule
from apps.streams.records import HaltDistance
from tests.oracle.world import Market, World

HALT_S_MAX = 300
HOUR_MS = 3_600_000
LATE_MS = 2_000

Print = tuple[int, int, int]  # (t_ms, price, lots)


@dataclass(slots=True)
class Window:
    """Prints of a rule since its window began; `first` is the one price it knew then, as its `before`."""

    rule: BreakerRule
    first: int | None
    prints: list[Print] = field(default_factory=list)


def seen(window: Window, now: int, more: list[Print]) -> tuple[list[Print], int | None]:
    """(prints that count, the last one before them). `more` are prints on paper behind the real ones."""
    rule = window.rule
    len_ms = -(-rule.window_ms // 300)
    counted: list[Print] = []
    before = window.first
    for each in window.prints + more:
        if (each[0] // len_ms + 1) * len_ms > now - rule.window_ms:
            counted.append(each)
        else:
            before = each[1]
    return counted, before


def forbids(window: Window, now: int, price: int, more: list[Print]) -> bool:
    """Whether the rule forbids a print at the price."""
    rule = window.rule
    counted, before = seen(window, now, more)
    if rule.measure == BreakerMeasure.PRICE:
        prices = [p for _, p, _ in counted] + ([before] if before is not None else [])
        if not prices:
            return False
        low, high = min(prices), max(prices)
        return (price - low) * 10_000 > rule.bp * low or (high - price) * 10_000 > rule.bp * high
    volume = sum(p * lots for _, p, lots in counted)
    quantity = sum(lots for _, _, lots in counted)
    return quantity > 0 and abs(price * quantity - volume) * 10_000 > rule.bp * volume


def forbidding(world: World, market: Market, price: int, more: list[Print]) -> BreakerRule | None:
    """The first rule, by id, that forbids the print."""
    for rule_id in sorted(market.windows):
        if forbids(market.windows[rule_id], world.now, price, more):
            rule: BreakerRule = market.windows[rule_id].rule
            return rule
    return None


def distance(world: World, market: Market) -> tuple[int, int, int, int]:
    """Nearest forbidden prices up and down and the rules that forbid them, 0 for none."""
    ups, downs = [], []
    for rule_id, window in market.windows.items():
        bp = window.rule.bp
        counted, before = seen(window, world.now, [])
        if window.rule.measure == BreakerMeasure.PRICE:
            prices = [p for _, p, _ in counted] + ([before] if before is not None else [])
            if not prices:
                continue
            low, high = Fraction(min(prices)), Fraction(max(prices))
        else:
            quantity = sum(lots for _, _, lots in counted)
            if not quantity:
                continue
            low = high = Fraction(sum(p * lots for _, p, lots in counted), quantity)
        ups.append((floor(low * (10_000 + bp) / 10_000) + 1, rule_id))
        downs.append((1 - ceil(high * (10_000 - bp) / 10_000), rule_id))
    up, up_rule = min(ups, default=(0, 0))
    down, down_rule = min(downs, default=(0, 0))
    return up, -down, up_rule, down_rule if down else 0


def tell_distances(world: World) -> None:
    """A tick: of markets that are open, once a second at most, where it is news."""
    for market_id in sorted(world.markets):
        market = world.markets[market_id]
        if market.state != MarketState.OPEN or world.now - market.told_ms < 1_000:
            continue
        found = distance(world, market)
        if found != market.told:
            market.told, market.told_ms = found, world.now
            up, down, up_rule, down_rule = found
            world.emit(
                HaltDistance,
                market_id=market_id,
                up_ticks=up,
                down_ticks=down,
                up_rule_id=up_rule,
                down_rule_id=down_rule,
            )


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


def halt_s(world: World, market: Market, rule: BreakerRule) -> int:
    """Length of a halt that begins now; counts it."""
    market.halts = [begun for begun in market.halts if begun > world.now - HOUR_MS] + [world.now]
    return min(HALT_S_MAX, rule.halt_s + 60 * (len(market.halts) - 1))
