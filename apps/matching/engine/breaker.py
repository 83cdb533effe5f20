"""Circuit breakers: a print too far from what its window has seen does not happen (T9, matching-rules.md 6).

One window for each rule (breaker_window.py).

Cost
    One comparison a print. A taker's prints go one way only, so its first one fixes how far it may go: `admit` answers
    with the key of the worst level (book.py) and is asked again only beyond it. Its prints are taken into the windows
    later, when these are next needed (`fold`): the lowest and highest are its first and its last price, and the sums
    follow from what the taker has filled. Within the current buckets and between their prints nothing can change at all
    (`quiet`).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.breaker_window import NO_PRICE, BucketRow, Window, highest_ticks, lowest_ticks, trips
from apps.streams.messages import BreakerRule

UNKNOWN: Final = 2**63  # a limit key that no level has: ask first


class Distance(NamedTuple):
    """The nearest prices that would trip, and the rules that they would; 0 where there is none."""

    up_ticks: int
    down_ticks: int
    up_rule_id: int
    down_rule_id: int


NO_DISTANCE: Final = Distance(0, 0, 0, 0)


class Breaker:
    """The breakers of one market, `windows` by ascending rule id.

    `tripped` is the rule that forbade the last print asked for, `rest_units` what the taker would still have traded at
    that price; both are read at once by halt.py.
    """

    __slots__ = (
        "factor", "has_vwap", "high", "low", "prints_from", "prints_ms", "quiet_high", "quiet_low", "quiet_until_ms",
        "rest_units", "taker", "tripped", "windows",
    )  # fmt: skip

    def __init__(self, rules: Sequence[BreakerRule], factor: int, last_ticks: int) -> None:
        """`factor` is the market's unit_factor, `last_ticks` the last print, 0 before the first."""
        self.factor = factor
        self.windows = [Window(rule, last_ticks) for rule in rules]
        self.has_vwap = any(window.is_vwap for window in self.windows)
        self.tripped: BreakerRule | None = None
        self.rest_units = 0
        self._forget()

    def _forget(self) -> None:
        self.taker: Order | None = None
        self.prints_ms = 0
        self.prints_from = (0, 0)
        self.low = self.high = 0
        self.quiet_low, self.quiet_high, self.quiet_until_ms = 0, 0, -1

    def renewed(self, rules: Sequence[BreakerRule], factor: int, last_ticks: int) -> "Breaker":
        """With other rules: an unchanged one keeps its window, the others start from the last price."""
        self.fold(last_ticks)
        kept = {window.rule: window for window in self.windows}
        newer = Breaker(rules, factor, last_ticks)
        newer.windows = [kept.get(window.rule, window) for window in newer.windows]
        return newer

    def restart(self, last_ticks: int) -> None:
        """The market reopens: every window starts from the auction's price or the last one."""
        for window in self.windows:
            window.restart(last_ticks)
        self._forget()

    def fold(self, last_ticks: int) -> None:
        """Take in what was printed since the windows were last looked at. Doing it again changes nothing."""
        taker = self.taker
        if taker is None:
            return
        value = (taker.filled_quote_units - self.prints_from[1]) // self.factor
        lots = taker.filled_lots - self.prints_from[0]
        self.prints_from = (taker.filled_lots, taker.filled_quote_units)
        for window in self.windows:
            if not window.is_vwap:
                window.take_price(self.prints_ms, last_ticks)
            elif lots:
                window.take_sums(self.prints_ms, value, lots)

    def advance(self, now_ms: int, last_ticks: int) -> None:
        """The windows as of now."""
        self.fold(last_ticks)
        for window in self.windows:
            window.advance(now_ms)

    def admit(self, now_ms: int, taker: Order, price_ticks: int, last_ticks: int) -> int:
        """Key of the worst level down to which `taker` may print without asking again, if it prints now.

        Worse than that of `price_ticks` where a rule forbids this very print: `tripped` says which, nothing changed.
        """
        buying = taker.side == BUY
        if self.is_quiet(now_ms, price_ticks, last_ticks):
            return -self.high if buying else self.low
        self.advance(now_ms, last_ticks)
        for window in self.windows:
            if trips(window, price_ticks, price_ticks, window.value, window.lots):
                self.tripped = window.rule
                return UNKNOWN
        for window in self.windows:
            if not window.is_vwap:
                window.take_price(now_ms, price_ticks)
        self.taker, self.prints_ms = taker, now_ms
        self.prints_from = (taker.filled_lots, taker.filled_quote_units)
        self._find_limits(now_ms, price_ticks)
        return -self.high if buying else self.low

    def is_quiet(self, now_ms: int, price_ticks: int, last_ticks: int) -> bool:
        """Whether a print at this price changes no window, and the limits found last still stand."""
        low, high = self.quiet_low, self.quiet_high
        return now_ms < self.quiet_until_ms and low <= price_ticks <= high and low <= last_ticks <= high

    def _find_limits(self, now_ms: int, price_ticks: int) -> None:
        """How far prints may go from here, and where nothing can change: a print is in the current buckets now."""
        windows = self.windows
        self.high = min(highest_ticks(each, price_ticks, price_ticks, each.value, each.lots) for each in windows)
        self.low = max(lowest_ticks(each, price_ticks, price_ticks, each.value, each.lots) for each in windows)
        if self.has_vwap:
            return
        current = [window.buckets[-1] for window in windows]
        self.quiet_low = max(self.low, *(bucket.low for bucket in current))
        self.quiet_high = min(self.high, *(bucket.high for bucket in current))
        self.quiet_until_ms = min(
            min((window.buckets[-1].k + 1) * window.len_ms, window.leaves_ms()) for window in windows
        )

    def distance(self, now_ms: int, last_ticks: int) -> Distance:
        """As of now; of two rules at the same price the one with the lower id."""
        self.advance(now_ms, last_ticks)
        up, down, up_rule_id, down_rule_id = NO_PRICE, 0, 0, 0
        for window in self.windows:
            limits = window.limits()
            if limits is None:
                continue
            lowest, highest = limits
            if highest + 1 < up:
                up, up_rule_id = highest + 1, window.rule.rule_id
            if lowest - 1 > down:
                down, down_rule_id = lowest - 1, window.rule.rule_id
        return Distance(0 if up == NO_PRICE else up, down, up_rule_id, down_rule_id)

    def rows(self, now_ms: int, last_ticks: int) -> Iterator[tuple[BreakerRule, int, list[BucketRow]]]:
        """(rule, `before`, counted buckets) by rule id, as of now."""
        self.fold(last_ticks)
        for window in self.windows:
            yield (window.rule, *window.rows(now_ms))


class Trial:
    """The breakers in a read-only run: `limit_key` answers as `Breaker.admit` and changes nothing.

    Its caller says what would have printed so far.
    """

    __slots__ = ("breaker", "buying", "first_ticks")

    def __init__(self, breaker: Breaker, buying: bool) -> None:
        self.breaker = breaker
        self.buying = buying
        self.first_ticks = 0

    def limit_key(self, now_ms: int, price_ticks: int, last_ticks: int, own_lots: int, own_units: int) -> int:
        breaker, buying = self.breaker, self.buying
        if not self.first_ticks:
            self.first_ticks = price_ticks
            if breaker.is_quiet(now_ms, price_ticks, last_ticks):
                return -breaker.high if buying else breaker.low
        breaker.advance(now_ms, last_ticks)
        first, own_value = self.first_ticks, own_units // breaker.factor
        limits = []
        for window in breaker.windows:
            value, lots = window.value + own_value, window.lots + own_lots
            if trips(window, first, price_ticks, value, lots):
                return UNKNOWN
            furthest = highest_ticks if buying else lowest_ticks
            limits.append(furthest(window, first, price_ticks, value, lots))
        return -min(limits) if buying else max(limits)
