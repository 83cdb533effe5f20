"""What one circuit breaker has seen and how far it lets prints go (T9, matching-rules.md 6).

Layout
    A window's time is cut into buckets of len_ms = ceil(window_ms / 300): bucket k = t_ms // len_ms counts at `now`
    while (k + 1) x len_ms > now - window_ms. A PRICE window has the lowest, highest and last print of each bucket, and
    `before`, the last print of the newest bucket that has left. A VWAP window has the sums of price x lots and of lots.

Rule
    A print at p trips PRICE when (p - low) x 10^4 > bp x low or (high - p) x 10^4 > bp x high, VWAP when
    |p x lots - value| x 10^4 > bp x value. Exactly at the limit it prints. Nothing to measure: it prints.

Cost
    Buckets leave once each, lowest and highest are kept as monotonic queues: O(1) amortised.
"""

from collections import deque
from typing import Final, NamedTuple

from apps.common.amounts import BASIS_POINTS
from apps.streams.kinds import BreakerMeasure
from apps.streams.messages import BreakerRule

BUCKETS: Final = 300  # of a window; one more is there while the oldest leaves
NO_PRICE: Final = 2**63
_VWAP: Final = int(BreakerMeasure.VWAP)


class BucketRow(NamedTuple):
    """A counted bucket; a PRICE window has no value and lots, a VWAP window no prices."""

    bucket: int
    low_ticks: int
    high_ticks: int
    last_ticks: int
    value: int
    lots: int


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
        return (self.buckets[0].k + 1) * self.len_ms + self.rule.window_ms if self.buckets else NO_PRICE

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
        """Lowest price to measure against, NO_PRICE without one."""
        low = self.lows[0][1] if self.lows else NO_PRICE
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
