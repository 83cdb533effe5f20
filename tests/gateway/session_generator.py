"""Frames of session methods of the WebSocket API, right and wrong ones, each with what must come of it.

What parameters are refused for is validation's own word, as in generator.py. What the state of the connection answers
is foretold by a model of it: who is logged on, which subscriptions there are, how many log-ons have failed.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.common.clock import now_ms
from apps.gateway import params
from apps.gateway.errors import ApiError
from apps.gateway.params import Flag, Integer, Param
from apps.gateway.policy import LOGONS_FAILED_MAX
from apps.gateway.wsapi import frames, session
from tests.gateway.generator import GOOD_NUMBERS, HOSTILE, NUMBERS

LOGON, STATUS, LOGOUT, LIST = "session.logon", "session.status", "session.logout", "session.subscriptions"
SUBSCRIBE, SIGNED, END = (f"userDataStream.{name}" for name in ("subscribe", "subscribe.signature", "unsubscribe"))
DECLARED: dict[str, tuple[Param, ...]] = {
    LOGON: session.SIGNED, STATUS: (), LOGOUT: (), LIST: (), SUBSCRIBE: session.RESUMING,
    SIGNED: (*session.SIGNED, *session.RESUMING), END: (Integer("subscriptionId"),),
}  # fmt: skip
# As JSON values: what has no text is refused before anything else.
ODD: list[Any] = [None, True, False, 0, -1, 1.5, 10**30, [], ["a"], [1], {}, {"a": 1}, [[]], "\u0661", "\ud800"]
FLAWS = ("key", "form of key", "signature", "old", "ahead", "window", "no key", "no signature", "no timestamp")
OK, REFUSED = (200, 0), (401, -2015)
BAD_SIGNATURE = (400, -1022)
OF_FLAW = {
    "key": REFUSED, "form of key": (401, -2014),
    "signature": BAD_SIGNATURE, "old": (400, -1021), "ahead": (400, -1021), "window": (400, -1131),
    "no key": (400, -1102), "no signature": (400, -1102), "no timestamp": (400, -1102),
}  # fmt: skip


@dataclass(frozen=True)
class Signer:
    """A key as its owner has it; `sign` makes the signature's text."""

    api_key: str
    account_id: int
    may_log_on: bool
    can_read: bool
    sign: Callable[[bytes], str]


@dataclass(frozen=True)
class Frame:
    """`flaw`: what is wrong with its signature, of FLAWS; `signer`: whose it is, where the method is signed."""

    number: int
    method: str
    sent: dict[str, Any]
    signer: Signer | None = None
    flaw: str | None = None

    @property
    def text(self) -> str:
        return json.dumps({"id": self.number, "method": self.method, "params": self.sent})


@dataclass
class Model:
    """One connection. `active`: whose subscriptions there are by number, and whether its session began them."""

    session: Signer | None = None
    active: dict[int, tuple[int, bool]] = field(default_factory=dict)
    numbers: int = 0
    failed: int = 0

    @property
    def is_cut_off(self) -> bool:
        return self.failed >= LOGONS_FAILED_MAX

    def answers(self, frame: Frame) -> list[tuple[int, int]]:
        """The (status, code) that may come; code 0 for success."""
        try:
            sent = frames.parse(frame.text).params
            if session.SHOW_LIMITS in sent:
                Flag(session.SHOW_LIMITS).parse(sent.pop(session.SHOW_LIMITS))
            by_ticket = frame.method == LOGON and "ticket" in sent
            values = params.read((session.TICKET,) if by_ticket else DECLARED[frame.method], sent)
        except frames.FrameError as error:
            return [(error.error.status, error.error.number)]
        except ApiError as error:
            return [(error.status, error.number)]
        if by_ticket:
            # Tickets are for pages, and programs send no origin.
            return [(403, -2015)]
        if frame.method in (LOGON, SIGNED):
            if frame.flaw is not None:
                return [OF_FLAW[frame.flaw]]
            assert frame.signer is not None
            if frame.method == LOGON:
                return [OK] if frame.signer.may_log_on else [(400, -4056)]
            return self._subscribing(frame.signer, values)
        if frame.method == SUBSCRIBE:
            return [REFUSED] if self.session is None else self._subscribing(self.session, values)
        if frame.method == END and values["subscriptionId"] not in (None, *self.active):
            return [(400, -2036)]
        return [OK]

    def _subscribing(self, signer: Signer, values: dict[str, Any]) -> list[tuple[int, int]]:
        if not signer.can_read:
            return [REFUSED]
        if any(account_id == signer.account_id for account_id, _ in self.active.values()):
            return [(400, -2035)]
        # Whether the log goes back so far is not the model's to know.
        return [OK] if values["fromSeq"] is None else [OK, (400, -1130)]

    def take(self, frame: Frame, came: tuple[int, int]) -> list[int]:
        """Follow what was answered; the subscriptions that end with it."""
        if frame.method == LOGON and "ticket" not in frame.sent and came in (REFUSED, BAD_SIGNATURE):
            self.failed += 1
        if came != OK:
            return []
        ended: list[int] = []
        if frame.method in (SUBSCRIBE, SIGNED):
            signer = self.session if frame.method == SUBSCRIBE else frame.signer
            assert signer is not None
            self.active[self.numbers] = signer.account_id, frame.method == SUBSCRIBE
            self.numbers += 1
        elif frame.method in (LOGON, LOGOUT):
            ended = [number for number, (_, of_session) in self.active.items() if of_session]
            self.session = frame.signer if frame.method == LOGON else None
        elif frame.method == END:
            number = frame.sent.get("subscriptionId")
            ended = list(self.active) if number is None else [int(number)]
        for number in ended:
            del self.active[number]
        return ended


def frame_of(draw: random.Random, number: int, model: Model, signers: list[Signer]) -> Frame:
    """One that fits the connection as it is, or does not."""
    method = draw.choice(list(DECLARED))
    sent: dict[str, Any] = {}
    if method == END and draw.random() < 0.7:
        sent["subscriptionId"] = draw.choice([*model.active, draw.randrange(5)])
    if method in (SUBSCRIBE, SIGNED):
        if draw.random() < 0.3:
            sent["returnSeq"] = draw.choice([True, False])
        if draw.random() < 0.05:
            sent["fromSeq"] = draw.randrange(2_000)
    if method == LOGON and draw.random() < 0.1:
        return Frame(number, method, {"ticket": draw.choice(["a" * 40, "short", "", draw.choice(HOSTILE)])})
    if draw.random() < 0.3:
        names = [param.name for param in DECLARED[method] if param.name != "apiKey"]
        name = draw.choice([*names, "unknown", session.SHOW_LIMITS, "symbol"])
        sent[name] = draw.choice([*ODD, draw.choice(HOSTILE), draw.choice(NUMBERS), draw.choice(GOOD_NUMBERS)])
    if method not in (LOGON, SIGNED):
        return Frame(number, method, sent)
    flaw = draw.choice(FLAWS) if draw.random() < 0.25 else None
    signer = draw.choice(signers)
    return Frame(number, method, signed(draw, sent, signer, flaw), signer, flaw)


def signed(draw: random.Random, sent: dict[str, Any], signer: Signer, flaw: str | None) -> dict[str, Any]:
    time_ms = now_ms() + {"old": -120_000, "ahead": 120_000}.get(flaw or "", 0)
    sent = {**sent, "apiKey": signer.api_key, "timestamp": time_ms, "recvWindow": 60_000}
    if flaw == "key":
        sent["apiKey"] = draw.choice(["A", "B"]) * 64
    if flaw == "form of key":
        sent["apiKey"] = draw.choice(["a", "B" * 128])
    if flaw == "window":
        sent["recvWindow"] = 60_001
    for name in ("apiKey", "timestamp"):
        if flaw == f"no {'key' if name == 'apiKey' else name}":
            del sent[name]
    try:
        texts = frames.parse(json.dumps({"id": 1, "method": LOGON, "params": sent})).params
    except frames.FrameError:
        texts = {}
    signature = signer.sign(frames.signed_messages(texts)[0])
    if flaw == "signature":
        signature = draw.choice(["0" * 64, signature[::-1], signature[:-1], signer.sign(b"something else")])
    if flaw == "no signature":
        return {**sent, "signature": ""} if draw.random() < 0.5 else sent
    return {**sent, "signature": signature}
