"""What each address and account has used, for the dialect's headers. Counted in this process; nothing is refused."""

MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000
DAY_MS = 86_400_000
# Addresses or accounts counted at once; beyond it the one that was quiet longest is forgotten.
KEYS_MAX = 100_000


class _Window:
    """Sums by key within one fixed window of time; emptied when the next one begins."""

    __slots__ = ("length_ms", "number", "sums")

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.number = 0
        self.sums: dict[str | int, int] = {}

    def add(self, key: str | int, amount: int, now_ms: int) -> int:
        """The sum of `key` in the window of `now_ms`, this amount included."""
        number = now_ms // self.length_ms
        if number != self.number:
            self.number = number
            self.sums.clear()
        total = self.sums.pop(key, 0) + amount
        self.sums[key] = total
        if len(self.sums) > KEYS_MAX:
            del self.sums[next(iter(self.sums))]
        return total


class UsedWeights:
    """Request weight by address, per minute."""

    def __init__(self) -> None:
        self._minute = _Window(MINUTE_MS)
        self._wallet_minute = _Window(MINUTE_MS)

    def add(self, address: str, weight: int, now_ms: int, *, wallet: bool = False) -> int:
        return (self._wallet_minute if wallet else self._minute).add(address, weight, now_ms)


class OrderCounts:
    """Orders sent by account: (in the last whole ten-second window, in the day)."""

    def __init__(self) -> None:
        self._ten_seconds = _Window(TEN_SECONDS_MS)
        self._day = _Window(DAY_MS)

    def add(self, account_id: int, orders: int, now_ms: int) -> tuple[int, int]:
        return self._ten_seconds.add(account_id, orders, now_ms), self._day.add(account_id, orders, now_ms)
