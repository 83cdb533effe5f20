"""What a request costs and whether it still fits. Pure: the time is a parameter.

The same rules as a script in redis-edge (script.py), where all gateways count together; a test compares the two over
random requests. Here they decide while redis-edge is away, beginning with what it said last.

1. A banned address gets nothing until its ban ends.
2. A request counts among the raw requests of its address, also when it is refused.
3. It is refused when these or its weight would pass the limit; then its weight does not count.
4. An address with VIOLATIONS_MAX refusals within two minutes is banned: two minutes at first, four times as long each
   time again, at most three days. Three days after its last ban it begins anew.
5. Orders are counted when the address has room for the request. One too many is refused and does not count; that is
   the account's matter and no violation of the address.
6. An order that trades for the first time lowers the counts of its account again, by TAKER_CREDIT or, if it was in the
   book, MAKER_CREDIT; never below 0, whenever it was placed. So whoever trades may go on placing orders.
"""

from enum import IntEnum
from typing import Final

import msgspec

MINUTE_MS: Final = 60_000
FIVE_MINUTES_MS: Final = 300_000
SPELL_MS: Final = 120_000
TEN_SECONDS_MS: Final = 10_000
DAY_MS: Final = 86_400_000
BAN_FIRST_MS: Final = 120_000
BAN_FACTOR: Final = 4
BAN_MAX_MS: Final = 3 * DAY_MS
FORGIVEN_MS: Final = 3 * DAY_MS
# More than any client has under way before it can have read its first 429.
VIOLATIONS_MAX: Final = 100
# What the dialect's examples show (faqs/order_count_decrement).
TAKER_CREDIT: Final = 1
MAKER_CREDIT: Final = 5
# So many orders of an account are remembered as filled; one forgotten is credited again if it trades on.
FILLED_KEPT: Final = 120
# Addresses or accounts remembered in one process; beyond it the one that was quiet longest is forgotten.
KEYS_MAX: Final = 100_000


class Verdict(IntEnum):
    ADMITTED = 0
    WEIGHT = 1
    REQUESTS = 2
    BANNED = 3
    ORDERS_10_S = 4
    ORDERS_DAY = 5


class Charge(msgspec.Struct, array_like=True, gc=False):
    """One request with the limits that hold for it. `account_id` 0: no account is counted; `orders` may be 0."""

    address: str
    weight: int
    is_wallet: int
    weight_max: int
    requests_max: int
    account_id: int
    orders: int
    orders_10_s_max: int
    orders_day_max: int


class Credit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order of the account has traded; it counts if that was not known yet."""

    account_id: int
    order_id: int
    orders: int


class Usage(msgspec.Struct, array_like=True, gc=False):
    """The verdict, until when it holds (0: admitted), and what is used in the windows of that moment."""

    verdict: int
    until_ms: int
    weight: int
    requests: int
    orders_10_s: int
    orders_day: int


class _Address:
    __slots__ = ("banned_until_ms", "bans", "five", "minute", "requests", "spell", "violations", "wallet", "weight")

    def __init__(self) -> None:
        self.minute = self.weight = self.wallet = self.five = self.requests = 0
        self.spell = self.violations = self.banned_until_ms = self.bans = 0

    def at(self, now_ms: int) -> "_Address":
        """As it stands now: windows that are over begin anew."""
        minute, five, spell = now_ms // MINUTE_MS, now_ms // FIVE_MINUTES_MS, now_ms // SPELL_MS
        if self.minute != minute:
            self.minute, self.weight, self.wallet = minute, 0, 0
        if self.five != five:
            self.five, self.requests = five, 0
        if self.spell != spell:
            self.spell, self.violations = spell, 0
        if self.bans and now_ms > self.banned_until_ms + FORGIVEN_MS:
            self.bans = 0
        return self


class _Account:
    __slots__ = ("day", "filled", "orders_10_s", "orders_day", "ten")

    def __init__(self) -> None:
        self.ten = self.orders_10_s = self.day = self.orders_day = 0
        # Oldest news first.
        self.filled: dict[int, None] = {}

    def at(self, now_ms: int) -> "_Account":
        ten, day = now_ms // TEN_SECONDS_MS, now_ms // DAY_MS
        if self.ten != ten:
            self.ten, self.orders_10_s = ten, 0
        if self.day != day:
            self.day, self.orders_day = day, 0
        return self


class Counts:
    """Everything counted, in this process's memory."""

    def __init__(self, violations_max: int = VIOLATIONS_MAX) -> None:
        self._violations_max = violations_max
        self._addresses: dict[str, _Address] = {}
        self._accounts: dict[int, _Account] = {}

    def admit(self, charge: Charge, now_ms: int) -> Usage:
        address = self._address(charge.address, now_ms)
        account = self._account(charge.account_id, now_ms) if charge.account_id else _Account()
        verdict, until_ms = self._verdict(charge, address, account, now_ms)
        used = address.wallet if charge.is_wallet else address.weight
        return Usage(verdict, until_ms, used, address.requests, account.orders_10_s, account.orders_day)

    def _verdict(self, charge: Charge, address: _Address, account: _Account, now_ms: int) -> tuple[Verdict, int]:
        if address.banned_until_ms > now_ms:
            return Verdict.BANNED, address.banned_until_ms
        address.requests += 1
        used = address.wallet if charge.is_wallet else address.weight
        if address.requests > charge.requests_max:
            return self._violation(address, Verdict.REQUESTS, (address.five + 1) * FIVE_MINUTES_MS, now_ms)
        if used + charge.weight > charge.weight_max:
            return self._violation(address, Verdict.WEIGHT, (address.minute + 1) * MINUTE_MS, now_ms)
        if charge.is_wallet:
            address.wallet += charge.weight
        else:
            address.weight += charge.weight
        if charge.orders:
            if account.orders_10_s + charge.orders > charge.orders_10_s_max:
                return Verdict.ORDERS_10_S, (account.ten + 1) * TEN_SECONDS_MS
            if account.orders_day + charge.orders > charge.orders_day_max:
                return Verdict.ORDERS_DAY, (account.day + 1) * DAY_MS
            account.orders_10_s += charge.orders
            account.orders_day += charge.orders
        return Verdict.ADMITTED, 0

    def _violation(self, address: _Address, verdict: Verdict, until_ms: int, now_ms: int) -> tuple[Verdict, int]:
        address.violations += 1
        if address.violations < self._violations_max:
            return verdict, until_ms
        address.violations = 0
        address.banned_until_ms = now_ms + min(BAN_FIRST_MS * BAN_FACTOR**address.bans, BAN_MAX_MS)
        address.bans += 1
        return Verdict.BANNED, address.banned_until_ms

    def credit(self, credit: Credit, now_ms: int) -> None:
        account = self._account(credit.account_id, now_ms)
        if credit.order_id in account.filled:
            return
        account.filled[credit.order_id] = None
        if len(account.filled) > FILLED_KEPT:
            del account.filled[next(iter(account.filled))]
        account.orders_10_s = max(account.orders_10_s - credit.orders, 0)
        account.orders_day = max(account.orders_day - credit.orders, 0)

    def learn(self, charge: Charge, usage: Usage, now_ms: int) -> None:
        """What redis-edge said of a request: it is the authority, for the time when it is away."""
        address = self._address(charge.address, now_ms)
        address.requests = usage.requests
        if charge.is_wallet:
            address.wallet = usage.weight
        else:
            address.weight = usage.weight
        # Where redis-edge has forgotten a ban, there is none any more.
        address.banned_until_ms = usage.until_ms if usage.verdict == Verdict.BANNED else 0
        if charge.account_id:
            account = self._account(charge.account_id, now_ms)
            account.orders_10_s, account.orders_day = usage.orders_10_s, usage.orders_day

    def is_exhausted(self, address: str, weight_max: int, now_ms: int) -> bool:
        """Whether any request of this address would be refused, as far as this process knows."""
        known = self._addresses.get(address)
        if known is None:
            return False
        known.at(now_ms)
        return known.banned_until_ms > now_ms or known.weight >= weight_max

    def banned_until_ms(self, address: str) -> int:
        """The end of its last ban, 0 without one."""
        known = self._addresses.get(address)
        return 0 if known is None else known.banned_until_ms

    def _address(self, name: str, now_ms: int) -> _Address:
        found = self._addresses.pop(name, None) or _Address()
        self._addresses[name] = found
        if len(self._addresses) > KEYS_MAX:
            del self._addresses[next(iter(self._addresses))]
        return found.at(now_ms)

    def _account(self, account_id: int, now_ms: int) -> _Account:
        found = self._accounts.pop(account_id, None) or _Account()
        self._accounts[account_id] = found
        if len(self._accounts) > KEYS_MAX:
            del self._accounts[next(iter(self._accounts))]
        return found.at(now_ms)
