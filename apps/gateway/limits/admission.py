"""Requests are admitted before they do anything: all of one loop tick by one script call in redis-edge.

Verdicts come in the order of the requests, also when redis-edge fails: then this process decides by its own counts.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import msgspec
import structlog

from apps.common.clock import now_ms
from apps.gateway import errors
from apps.gateway.core import CorePipe
from apps.gateway.keys import Credential
from apps.gateway.limits.counting import Charge, Counts, Credit, Usage, Verdict
from apps.gateway.limits.fills import credits_of
from apps.gateway.limits.script import ADMIT_SHA
from apps.gateway.limits.tiers import STANDARD, Tier, tier_of
from apps.gateway.metrics import LIMITED
from apps.gateway.registry import Call

log = structlog.get_logger("nebannpet.gateway.limits")

# A request waits for redis-edge's verdict until so many looks found none, so long apart; then this process decides.
# Several looks, because a loop that was busy itself has not read the answer yet when it looks first.
LOOK_S: Final = 0.05
LOOKS_MAX: Final = 4
# What orders that traded give back goes with the next requests, and by itself where none come.
CREDITS_WAIT_S: Final = 0.05
# No client address, as behind a unix socket: whoever is there limits by itself.
UNLIMITED: Final = 2**53

OF_ORDERS: Final = frozenset({Verdict.ORDERS_10_S, Verdict.ORDERS_DAY})

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, list[Usage]]).decode


@lru_cache(maxsize=10_000)
def counted_address(address: str) -> str:
    """Under which name an address counts: an IPv6 customer has a /64 at least, and so any number of addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


class _Batch:
    """Requests of one loop tick, and orders that traded before. `is_open`: the verdicts are still to come."""

    __slots__ = ("charges", "credits", "is_open", "looks", "verdicts")

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.credits: list[Credit] = []
        self.verdicts: list[asyncio.Future[Usage]] = []
        self.looks = 0
        self.is_open = True

    def answer(self, usages: list[Usage]) -> None:
        self.is_open = False
        for verdict, usage in zip(self.verdicts, usages, strict=True):
            if not verdict.done():
                verdict.set_result(usage)


def _told(answer: Any, batch: _Batch) -> tuple[int, list[Usage]] | None:
    """Server time and a verdict for each request; None where the answer is something else."""
    try:
        time_ms, usages = _decode(answer)
    except (msgspec.MsgspecError, TypeError) as error:
        log.error("redis-edge answered what is no verdict", error=str(error))
        return None
    if len(usages) != len(batch.charges):
        log.error("redis-edge answered for other requests", asked=len(batch.charges), answered=len(usages))
        return None
    return time_ms, usages


class Admission:
    """`pipe`: a connection to redis-edge that has loaded script.ADMIT."""

    def __init__(self, pipe: CorePipe, tiers: Mapping[str, Tier], violations_max: int) -> None:
        self.tiers = tiers
        self._pipe = pipe
        self._violations_max = violations_max
        self._counts = Counts(violations_max)
        self._batch: _Batch | None = None
        self._sent: deque[_Batch] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._credits: list[Credit] = []
        # redis-edge owes an answer for too long: nothing more is sent before that came or the connection ended.
        self._is_late = False
        self._is_alone = False

    @property
    def standard(self) -> Tier:
        return self.tiers[STANDARD]

    def tier(self, credential: Credential | None) -> Tier:
        return self.tiers[STANDARD] if credential is None else tier_of(self.tiers, credential.tier)

    def admit(
        self, address: str, weight: int, *, is_wallet: bool = False, credential: Credential | None = None,
        orders: int | None = None,
    ) -> asyncio.Future[Usage]:  # fmt: skip
        """What is used now, and the verdict. With `orders` the credential's account is counted too, 0 included."""
        tier = self.tier(credential)
        counted = counted_address(address)
        charge = Charge(
            counted,
            weight,
            int(is_wallet),
            UNLIMITED if not counted else tier.wallet_weight_per_minute if is_wallet else tier.weight_per_minute,
            tier.requests_per_5_minutes if counted else UNLIMITED,
            credential.account_id if credential is not None and orders is not None else 0,
            orders or 0,
            tier.orders_per_10_s,
            tier.orders_per_day,
        )
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[Usage] = loop.create_future()
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            loop.call_soon(self._flush)
        batch.charges.append(charge)
        batch.verdicts.append(verdict)
        return verdict

    def credit(self, events: list[bytes]) -> None:
        """The events of one command that this process sent: orders that traded lower the counts of their accounts."""
        found = credits_of(events)
        if not found:
            return
        if not self._credits:
            asyncio.get_running_loop().call_later(CREDITS_WAIT_S, self._flush_credits)
        self._credits += found

    def _flush_credits(self) -> None:
        if self._credits and self._batch is None:
            self._batch = _Batch()
            self._flush()

    def check_before_signature(self, address: str, *, knows_key: bool) -> None:
        """Raise where the verdict on a signed request is clear already, as far as this process knows: neither a query
        nor a signature check is spent on it. The request is admitted all the same, which corrects what is known.
        """
        counted, now = counted_address(address), now_ms()
        until_ms = self._counts.banned_until_ms(counted)
        if until_ms > now:
            raise errors.banned(until_ms, wait_s(until_ms, now))
        if not knows_key and self._counts.is_exhausted(counted, self.standard.weight_per_minute, now):
            raise errors.key_refused()

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None, "a flush is planned only with a batch"
        batch.credits, self._credits = self._credits, []
        if not self._pipe.connected or self._is_late:
            # The connection may have ended just now, and those before have not been told yet.
            for each in (*self._sent, batch):
                if each.is_open:
                    self._decide(each)
            return
        self._sent.append(batch)
        answer = self._pipe.execute(
            "EVALSHA", ADMIT_SHA, 0, _encode(batch.charges), self._violations_max, _encode(batch.credits)
        )
        answer.add_done_callback(self._answered)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _answered(self, answer: "asyncio.Future[Any]") -> None:
        """Answers come in the order of the calls, failures too."""
        batch = self._sent.popleft()
        self._is_late = False
        error = answer.exception()
        told = _told(answer.result(), batch) if error is None else None
        if told is not None:
            time_ms, usages = told
            for charge, usage in zip(batch.charges, usages, strict=True):
                self._counts.learn(charge, usage, time_ms)
            self._say(alone=False)
            if batch.is_open:
                batch.answer(usages)
        elif batch.is_open:
            self._decide(batch)

    def _look(self) -> None:
        """The oldest call may be answered too late; then all that wait are decided here, in their order."""
        waiting = [batch for batch in self._sent if batch.is_open]
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look) if waiting else None
        for batch in waiting:
            batch.looks += 1
        if waiting and waiting[0].looks >= LOOKS_MAX:
            self._is_late = True
            for batch in waiting:
                self._decide(batch)

    def _decide(self, batch: _Batch) -> None:
        self._say(alone=True)
        now = now_ms()
        for credit in batch.credits:
            self._counts.credit(credit, now)
        batch.answer([self._counts.admit(charge, now) for charge in batch.charges])

    def _say(self, *, alone: bool) -> None:
        if alone != self._is_alone:
            self._is_alone = alone
            if alone:
                log.warning("redis-edge does not answer; this process counts requests by itself")
            else:
                log.info("requests are counted in redis-edge again")


def wait_s(until_ms: int, at_ms: int) -> int:
    """Whole seconds from `at_ms` until then, at least one."""
    return max(-(-(until_ms - at_ms) // 1000), 1)


def check(usage: Usage, tier: Tier, call: Call | None, *, is_wallet: bool, at_ms: int) -> None:
    """Raise for a request that was not admitted. A call that goes on beyond the limits of new orders is told."""
    if call is not None:
        call.usage = usage
    if not usage.verdict:
        return
    refusal = refuse(usage, tier, is_wallet=is_wallet, at_ms=at_ms)
    goes_on = call.endpoint.survives_order_limit if call is not None else None
    if call is None or goes_on is None or usage.verdict not in OF_ORDERS or not goes_on(call.values):
        raise refusal
    call.too_many_orders = refusal


def refuse(usage: Usage, tier: Tier, *, is_wallet: bool, at_ms: int) -> errors.ApiError:
    """The error of a request that was not admitted."""
    verdict, wait = Verdict(usage.verdict), wait_s(usage.until_ms, at_ms)
    LIMITED.labels(verdict.name.lower()).inc()
    match verdict:
        case Verdict.BANNED:
            return errors.banned(usage.until_ms, wait)
        case Verdict.WEIGHT:
            limit = tier.wallet_weight_per_minute if is_wallet else tier.weight_per_minute
            return errors.too_much_weight(limit, usage.until_ms, wait)
        case Verdict.REQUESTS:
            return errors.too_many_raw_requests(tier.requests_per_5_minutes, usage.until_ms, wait)
        case Verdict.ORDERS_10_S:
            return errors.too_many_orders(tier.orders_per_10_s, "10 SECOND", usage.until_ms, wait)
        case Verdict.ORDERS_DAY:
            return errors.too_many_orders(tier.orders_per_day, "DAY", usage.until_ms, wait)
    raise AssertionError("an admitted request is not refused")
