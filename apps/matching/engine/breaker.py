"""Circuit breakers: a print too far from what its window has seen does not happen (T9, matching-rules.md 6).

Layout
    One window for each rule. Its time is cut into buckets of len_ms = ceil(window_ms / 300): bucket k = t_ms // len_ms
    counts at `now` while (k + 1) x len_ms > now - window_ms. A PRICE window has the lowest, highest and last print of
    each bucket, and `before`, the last print of the newest bucket that has left. A VWAP window has the sums of price x
    lots and of lots.

Rule
    A print at p trips PRICE when (p - low) x 10^4 > bp x low or (high - p) x 10^4 > bp x high, VWAP when
    |p x lots - value| x 10^4 > bp x value. Exactly at the limit it prints. Nothing to measure: it prints.

Cost
    One comparison a print. A taker's prints go one way only, so its first one fixes how far it may go: `admit` answers
    with the key of the worst level (book.py) and is asked again only beyond it. Its prints are taken into the windows
    later, when these are next needed (`fold`): the lowest and highest are its first and its last price, and the sums
    follow from what the taker has filled. Buckets leave once each, lowest and highest are kept as monotonic queues:
    O(1) amortised. Within the current buckets and between their prints nothing can change at all (`quiet`).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from apps.common.amounts import BASIS_POINTS
from apps.matching.engine.book import BUY, Order
from apps.streams.kinds import BreakerMeasure
from apps.streams.messages import BreakerRule

BUCKETS: Final = 300  # of a window; one more is there while the oldest leaves
UNKNOWN: Final = 2**63  # a limit key that no level has: ask first
_NO_PRICE: Final = 2**63
_VWAP: Final = int(BreakerMeasure.VWAP)


class BucketRow(NamedTuple):
    """A counted bucket; a PRICE window has no value and lots, a VWAP window no prices."""

    bucket: int
    low_ticks: int
    high_ticks: int
    last_ticks: int
    value: int
    lots: int


class Distance(NamedTuple):
    """The nearest prices that would trip, and the rules that they would; 0 where there is none."""

    up_ticks: int
    down_ticks: int
    up_rule_id: int
    down_rule_id: int


NO_DISTANCE: Final = Distance(0, 0, 0, 0)


class Bucket:
    __slots__ = ("high", "k", "last", "lots", "low", "value")

    def __init__(self, k: int, low: int, high: int, last: int, value: int, lots: int) -> None:
        self.k = k
        self.low = low
        self.high = high
        self.last = last
        self.value = value
        self.lots = lots


class Window:
    """What one rule has seen. `lows` and `highs` are (k, price): those that may still become the lowest or highest."""

    __slots__ = ("before", "buckets", "highs", "is_vwap", "len_ms", "lots", "lows", "rule", "value")

    def __init__(self, rule: BreakerRule, before: int = 0) -> None:
        self.rule = rule
        self.is_vwap = rule.measure == _VWAP
        self.len_ms = -(-rule.window_ms // BUCKETS)
        self.restart(before)

    def restart(self, before: int) -> None:
        """Forget every print but one price, 0 for none. A VWAP window has nothing to measure then."""
        self.before = 0 if self.is_vwap else before
        self.buckets: deque[Bucket] = deque()
        self.lows: deque[tuple[int, int]] = deque()
        self.highs: deque[tuple[int, int]] = deque()
        self.value = self.lots = 0

    def counts(self, k: int, now_ms: int) -> bool:
        return (k + 1) * self.len_ms > now_ms - self.rule.window_ms

    def leaves_ms(self) -> int:
        """From when on the oldest bucket does not count any more."""
        return (self.buckets[0].k + 1) * self.len_ms + self.rule.window_ms if self.buckets else _NO_PRICE

    def advance(self, now_ms: int) -> None:
        """Let go what has left by now."""
        buckets = self.buckets
        while buckets and not self.counts(buckets[0].k, now_ms):
            gone = buckets.popleft()
            if self.is_vwap:
                self.value -= gone.value
                self.lots -= gone.lots
                continue
            self.before = gone.last
            while self.lows and self.lows[0][0] <= gone.k:
                self.lows.popleft()
            while self.highs and self.highs[0][0] <= gone.k:
                self.highs.popleft()

    def take_price(self, at_ms: int, price: int) -> None:
        """A print, not older than any before it."""
        k, buckets = at_ms // self.len_ms, self.buckets
        if not buckets or buckets[-1].k != k:
            buckets.append(Bucket(k, price, price, price, 0, 0))
        else:
            bucket = buckets[-1]
            bucket.last = price
            if bucket.low <= price <= bucket.high:
                return
            bucket.low, bucket.high = min(bucket.low, price), max(bucket.high, price)
        while self.lows and self.lows[-1][1] >= price:
            self.lows.pop()
        if not self.lows or self.lows[-1][0] != k:
            self.lows.append((k, price))
        while self.highs and self.highs[-1][1] <= price:
            self.highs.pop()
        if not self.highs or self.highs[-1][0] != k:
            self.highs.append((k, price))

    def take_sums(self, at_ms: int, value: int, lots: int) -> None:
        k, buckets = at_ms // self.len_ms, self.buckets
        if not buckets or buckets[-1].k != k:
            buckets.append(Bucket(k, 0, 0, 0, 0, 0))
        buckets[-1].value += value
        buckets[-1].lots += lots
        self.value += value
        self.lots += lots

    def low(self) -> int:
        """Lowest price to measure against, _NO_PRICE without one."""
        low = self.lows[0][1] if self.lows else _NO_PRICE
        return min(low, self.before) if self.before else low

    def high(self) -> int:
        """Highest price to measure against, 0 without one."""
        return max(self.highs[0][1], self.before) if self.highs else self.before

    def limits(self) -> tuple[int, int] | None:
        """The lowest and the highest price that would not trip; None where there is nothing to measure."""
        up, down = BASIS_POINTS + self.rule.bp, BASIS_POINTS - self.rule.bp
        if self.is_vwap:
            if not self.lots:
                return None
            scaled = BASIS_POINTS * self.lots
            return -(-self.value * down // scaled), self.value * up // scaled
        high = self.high()
        return (-(-high * down // BASIS_POINTS), self.low() * up // BASIS_POINTS) if high else None

    def put_back(self, row: BucketRow) -> None:
        """The next bucket of a snapshot."""
        at_ms = row.bucket * self.len_ms
        if self.is_vwap:
            self.take_sums(at_ms, row.value, row.lots)
        else:
            for price in (row.low_ticks, row.high_ticks, row.last_ticks):
                self.take_price(at_ms, price)

    def rows(self, now_ms: int) -> tuple[int, list[BucketRow]]:
        """(`before`, counted buckets) as of now, whether or not what has left was let go already."""
        before, rows = self.before, []
        for each in self.buckets:
            if self.counts(each.k, now_ms):
                rows.append(BucketRow(each.k, each.low, each.high, each.last, each.value, each.lots))
            elif not self.is_vwap:
                before = each.last
        return before, rows


def trips(window: Window, first: int, price: int, value: int, lots: int) -> bool:
    """Whether the rule forbids a print at `price` of a taker whose own first one is or was at `first`.

    `value` and `lots` are the window's sums with the taker's own prints.
    """
    bp = window.rule.bp
    if window.is_vwap:
        return bool(lots) and abs(price * lots - value) * BASIS_POINTS > bp * value
    low, high = min(window.low(), first), max(window.high(), first)
    return (price - low) * BASIS_POINTS > bp * low or (high - price) * BASIS_POINTS > bp * high


def highest_ticks(window: Window, first: int, price: int, value: int, lots: int) -> int:
    """How high the taker's rising prints may go at least, where the one at `price` does not trip.

    They never lower the lowest price again, nor the average below the lower one of itself and `price`.
    """
    up = BASIS_POINTS + window.rule.bp
    if not window.is_vwap:
        return min(window.low(), first) * up // BASIS_POINTS
    own = price * up // BASIS_POINTS
    return min(own, value * up // (BASIS_POINTS * lots)) if lots else own


def lowest_ticks(window: Window, first: int, price: int, value: int, lots: int) -> int:
    """How low the taker's falling prints may go at least, where the one at `price` does not trip."""
    down = BASIS_POINTS - window.rule.bp
    if not window.is_vwap:
        return -(-max(window.high(), first) * down // BASIS_POINTS)
    own = -(-price * down // BASIS_POINTS)
    return max(own, -(-value * down // (BASIS_POINTS * lots))) if lots else own


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
        up, down, up_rule_id, down_rule_id = _NO_PRICE, 0, 0, 0
        for window in self.windows:
            limits = window.limits()
            if limits is None:
                continue
            lowest, highest = limits
            if highest + 1 < up:
                up, up_rule_id = highest + 1, window.rule.rule_id
            if lowest - 1 > down:
                down, down_rule_id = lowest - 1, window.rule.rule_id
        return Distance(0 if up == _NO_PRICE else up, down, up_rule_id, down_rule_id)

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
