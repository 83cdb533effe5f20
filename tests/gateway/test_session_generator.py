"""Session methods by the thousand (session_generator.py), in process: every answer is the one that must come.

Each connection gets one frame after another; refusals change nothing, neither in the engine nor of the connection,
whose status and list of subscriptions are held against the model. A connection is cut off by failed log-ons only.
"""

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.accounts.keyterms import KeyTerms
from apps.accounts.services.keyissue import issue_public_key
from apps.gateway.app import WS_API
from apps.gateway.socket import POLICY_VIOLATION
from apps.gateway.wsapi import connection as wsapi
from apps.gateway.wsapi.session import SESSION_METHODS
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.inprocess import ANSWER_WITHIN_S, _client, _each
from tests.gateway.session_generator import (
    DECLARED,
    LIST,
    OK,
    SIGNED,
    STATUS,
    SUBSCRIBE,
    Frame,
    Model,
    Signer,
    frame_of,
)
from tests.gateway.test_generator import ASK_AGAIN_S, NOT_EXECUTED, fresh_seed

SAMPLE = 300
FRAMES_MAX = 12
HUNDRED_THOUSAND = 100_000


class Line:
    """In the place of the gateway's socket; what the gateway sends is kept in `sent`."""

    newest: "Line"

    def __init__(self, *_: Any) -> None:
        self.incoming: asyncio.Queue[str | None] = asyncio.Queue()
        self.sent: list[Any] = []
        self.news = asyncio.Event()
        self.closed = False
        self.code: int | None = None
        self.queued_bytes = 0
        Line.newest = self

    def push(self, text: str) -> None:
        self.sent.append(json.loads(text))
        self.news.set()

    def close(self, code: int, reason: str) -> None:
        self.closed, self.code = True, self.code or code
        self.news.set()

    async def run(self, *, on_text: Callable[[str], None]) -> None:
        while (text := await self.incoming.get()) is not None:
            on_text(text)

    async def ask(self, frame: Frame) -> Any:
        self.incoming.put_nowait(frame.text)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while not any(message.get("id") == frame.number for message in self.sent):
                await self.news.wait()
                self.news.clear()
        [answer] = [message for message in self.sent if message.get("id") == frame.number]
        return answer


class Sequences:
    """Random frames over connections of their own, 32 at a time; `counts` of the codes that came, 0 for success."""

    def __init__(self, exchange: Exchange, signers: list[Signer], seed: int) -> None:
        self._exchange = exchange
        self._signers = signers
        self._draw = random.Random(seed)
        self.counts: Counter[int] = Counter()

    def run(self, connections: int) -> None:
        before = self._exchange.seq(), self._exchange.state_hash()
        loop = self._exchange.gateway_thread.loop
        assert loop is not None
        seeds = [self._draw.randrange(2**63) for _ in range(connections)]
        work = _each([lambda seed=seed: self._one(seed) for seed in seeds])
        asyncio.run_coroutine_threadsafe(work, loop).result()
        assert (self._exchange.seq(), self._exchange.state_hash()) == before

    async def _one(self, seed: int) -> None:
        draw, model = random.Random(seed), Model()
        scope = {"type": "websocket", "path": WS_API, "query_string": b"", "headers": [], "client": _client()}

        async def unused(*_: Any) -> Any:
            raise AssertionError("only Line is used")

        serving = asyncio.create_task(wsapi.serve(self._exchange.gateway, scope, unused, unused))
        await asyncio.sleep(0)
        line = Line.newest
        try:
            for number in range(draw.randrange(1, FRAMES_MAX)):
                await self._step(line, model, frame_of(draw, number, model, self._signers))
                if model.is_cut_off:
                    assert (line.closed, line.code) == (True, POLICY_VIOLATION)
                    return
            assert not line.closed, (seed, line.code)
        finally:
            line.incoming.put_nowait(None)
            await serving

    async def _step(self, line: Line, model: Model, frame: Frame) -> None:
        allowed = model.answers(frame)
        line.sent.clear()
        deadline = asyncio.get_running_loop().time() + ASK_AGAIN_S
        while True:
            answer = await line.ask(frame)
            came = answer["status"], 0 if answer["status"] == 200 else answer["error"]["code"]
            if came != NOT_EXECUTED or asyncio.get_running_loop().time() > deadline:
                break
            # A machine that stands still: nothing was done, so the same is asked again.
            line.sent.clear()
        shown = str((frame, answer))[:2_000]
        assert came in allowed, (shown, allowed)
        self.counts[came[1]] += 1
        ended = model.take(frame, came)
        events = [message for message in line.sent if "event" in message]
        over = [each["subscriptionId"] for each in events if each["event"]["e"] == "eventStreamTerminated"]
        assert over == ended, shown
        # Nothing happens meanwhile, so further events are those that a subscription goes back to.
        assert len(events) == len(over) or "fromSeq" in frame.sent, shown
        assert line.sent[0] == answer, "events come after the answer"
        if came == OK:
            self._compare(frame, answer["result"], model, shown)

    @staticmethod
    def _compare(frame: Frame, result: Any, model: Model, shown: str) -> None:
        if frame.method in (SUBSCRIBE, SIGNED):
            assert result["subscriptionId"] == model.numbers - 1, shown
        elif frame.method == LIST:
            assert [row["subscriptionId"] for row in result] == list(model.active), shown
        elif frame.method.startswith("session."):
            assert result["apiKey"] == (None if model.session is None else model.session.api_key), shown
            assert (result["authorizedSince"] is None) == (model.session is None), shown
            if frame.method == STATUS:
                assert result["userDataStream"] == bool(model.active), shown


def ed25519(client: Client, *, can_read: bool) -> Signer:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    account_id = client.me.account_id
    key = issue_public_key(
        account_id=account_id, pem=pem, terms=KeyTerms(label="tests", can_read=can_read, can_trade=True)
    )
    return Signer(
        key.public_key, account_id, True, can_read, lambda text: base64.b64encode(private.sign(text)).decode()
    )


@pytest.fixture
def sequences(exchange: Exchange, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch) -> Sequences:
    monkeypatch.setattr(wsapi, "Socket", Line)
    signers = [ed25519(alice, can_read=True), ed25519(bob, can_read=True), ed25519(bob, can_read=False)]
    signers += [
        Signer(client.me.api_key, client.me.account_id, False, True, lambda text, c=client: c.sign(text.decode()))
        for client in (alice, bob)
    ]
    return Sequences(exchange, signers, fresh_seed())


def test_every_session_method_is_tried() -> None:
    assert set(DECLARED) == set(SESSION_METHODS)


def test_a_sample_of_sessions(exchange: Exchange, sequences: Sequences) -> None:
    sequences.run(SAMPLE)
    assert {0, -1100, -1104, -2015, -1022, -4056, -2035, -2036} <= set(sequences.counts), sequences.counts
    # Nothing follows accounts and keys any more once their connections are gone.
    gateway = exchange.gateway
    wait_until(lambda: not gateway.user_data._feeds and not gateway.credentials._followers)


def test_a_wrong_answer_would_be_found(sequences: Sequences) -> None:
    model, signer = Model(), sequences._signers[0]
    logon = Frame(1, "session.logon", {}, signer)
    assert model.answers(logon) == [OK]
    model.take(logon, OK)
    subscribe = Frame(2, "userDataStream.subscribe", {})
    assert model.answers(subscribe) == [OK]
    model.take(subscribe, OK)
    assert model.answers(subscribe) == [(400, -2035)]
    assert model.take(Frame(3, "session.logout", {}), OK) == [0]
    assert model.answers(subscribe) == [(401, -2015)]
    with pytest.raises(AssertionError):
        sequences._compare(Frame(4, LIST, {}), [{"subscriptionId": 0}], model, "")


@pytest.mark.long
def test_a_hundred_thousand_frames_of_sessions(sequences: Sequences) -> None:
    while sequences.counts.total() < HUNDRED_THOUSAND:
        sequences.run(2_000)
    print(sequences.counts)
