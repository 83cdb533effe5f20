"""Requests by the thousand out of the registry (generator.py), in process: each answer is the one that must come.

What validation refuses is refused with exactly its code, over REST and the WebSocket API, and the engine's state hash
and event number stay the same. What it lets pass is answered by one of the codes that the endpoint lists, never by 500.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from urllib.parse import urlencode

import pytest

from apps.gateway.openapi.codes import codes_of
from apps.gateway.policy import REQUEST_BYTES_MAX
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.generator import Case, every_value, random_cases, rest_request, ws_frame
from tests.gateway.inprocess import InProcess

BATCH = 2_000
SAMPLE = 2_000
MILLION = 1_000_000
NOT_EXECUTED = (503, -1001)
ASK_AGAIN_S = 60.0


@pytest.fixture
def there(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    return InProcess(exchange, monkeypatch)


def fresh_seed() -> int:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return seed


class Trial:
    """Sends cases and judges every answer; `counts` by code, 0 for success."""

    def __init__(self, exchange: Exchange, there: InProcess, client: Client) -> None:
        self.exchange = exchange
        self.there = there
        self.client = client
        self.counts: Counter[int] = Counter()

    def all(self, cases: Iterable[Case]) -> None:
        """Those that must be refused first, with the engine's state before and after them."""
        cases = iter(cases)
        while batch := list(islice(cases, BATCH)):
            refused = [case for case in batch if case.refusal is not None]
            before = self.exchange.seq(), self.exchange.state_hash()
            self._rest(refused)
            self._ws(refused)
            assert (self.exchange.seq(), self.exchange.state_hash()) == before
            others = [case for case in batch if case.refusal is None]
            self._rest(others)
            self._ws(others)

    def _rest(self, cases: list[Case]) -> None:
        def ask(asked: list[Case]) -> list[tuple[int, int, str]]:
            answers = self.there.rest(rest_request(case, self.client) for case in asked)
            assert all(answer.headers["content-type"].startswith("application/json") for answer in answers)
            return [
                (answer.status, 0 if answer.status == 200 else answer.body["code"], answer.text) for answer in answers
            ]

        for case, (status, code, text) in self._asked(cases, ask):
            self._judge(case, status, code, text)

    def _ws(self, cases: list[Case]) -> None:
        def ask(asked: list[Case]) -> list[tuple[int, int, str]]:
            frames = [(number, ws_frame(case, self.client, number)) for number, case in enumerate(asked)]
            answers = self.there.ws((number, frame) for number, frame in frames if frame is not None)
            assert [answer["id"] for answer in answers] == list(range(len(asked)))
            return [
                (each["status"], 0 if each["status"] == 200 else each["error"]["code"], str(each)) for each in answers
            ]

        for case, (status, code, text) in self._asked([case for case in cases if ws_frame(case, self.client, 0)], ask):
            if not all(value.isascii() for _, value in case.sent):
                # A frame's texts are ASCII, which is found before anything else.
                assert (status, code) == (400, -1100), (str(case), text)
            else:
                self._judge(case, status, code, text)

    def _asked(
        self, cases: list[Case], ask: Callable[[list[Case]], list[tuple[int, int, str]]]
    ) -> Iterator[tuple[Case, tuple[int, int, str]]]:
        """Where a machine that stands still made the gateway answer 'not executed', the same is asked again."""
        deadline = time.monotonic() + ASK_AGAIN_S
        while cases:
            again = []
            for case, answer in zip(cases, ask(cases), strict=True):
                if answer[:2] == NOT_EXECUTED and time.monotonic() < deadline:
                    again.append(case)
                else:
                    yield case, answer
            cases = again

    def _judge(self, case: Case, status: int, code: int, text: str) -> None:
        self.counts[code] += 1
        assert status != 500, (str(case), text[:500])
        if status == 413:
            # What came out longer than a request may be; key, time and signature come on top.
            assert len(urlencode(case.sent)) > REQUEST_BYTES_MAX - 1_000, (str(case), text[:500])
            return
        if case.refusal is not None:
            assert (status, code) == case.refusal, (str(case), text[:500])
        elif status != 200:
            assert code in codes_of(case.endpoint), (str(case), text[:500])


@pytest.fixture
def trial(exchange: Exchange, there: InProcess, alice: Client) -> Trial:
    return Trial(exchange, there, alice)


def test_a_sample_of_every_value_in_every_parameter(trial: Trial) -> None:
    trial.all(islice(every_value(fresh_seed()), SAMPLE))
    assert {-1100, -1105, -1111, -1130} <= set(trial.counts), trial.counts


def test_a_sample_of_random_requests(trial: Trial) -> None:
    trial.all(random_cases(random.Random(fresh_seed()), SAMPLE))
    assert {0, -1100, -1102, -1104} <= set(trial.counts), trial.counts


def test_a_wrong_answer_is_found(trial: Trial) -> None:
    """The judge is no rubber stamp: a code that is not the validation's, one that is not listed, a failure."""
    [case] = islice((case for case in every_value(1) if case.refusal == (400, -1111)), 1)
    for status, code in ((400, -1100), (200, 0), (500, -1000), (503, -1111)):
        with pytest.raises(AssertionError):
            trial._judge(case, status, code, "")
    passing = Case(case.endpoint, (), None)
    with pytest.raises(AssertionError):
        trial._judge(passing, 400, -4056, "")


def timed(cases: Iterator[Case], count: int) -> Iterator[Case]:
    """So many cases; a line about the progress now and then."""
    started = time.monotonic()
    for number, case in enumerate(islice(cases, count)):
        if number % 50_000 == 0:
            print(f"{number} cases after {time.monotonic() - started:.0f} s", flush=True)
        yield case


@pytest.mark.long
def test_a_million_cases(trial: Trial) -> None:
    """First the whole table, then random requests; each counts once, although most go over both interfaces."""
    seed = fresh_seed()
    table = list(every_value(seed))
    print(f"{len(table)} cases of the table")
    trial.all(timed(iter(table), len(table)))
    left = MILLION - len(table)
    trial.all(timed(random_cases(random.Random(seed), left), left))
    print(trial.counts)
    assert trial.counts.total() >= MILLION
