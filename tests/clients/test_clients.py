"""Real client libraries work by changing the base URL: each runs its checks against one running exchange.

What they do is in suites/, run inside the client's own environment. Between them and the exchange stands the recorder:
an answer, stream message or user event that differs from the field tables fails the client's test, and so does a call
that COVERED says the client makes and that nobody saw answered.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tests.clients.covered import COVERED
from tests.clients.recorder import Recorder
from tests.clients.running import Place, run, run_checks
from tests.dialect import Account
from tests.stack import BASE_DIR, TRADING, Stack

pytestmark = pytest.mark.timeout(400)

EXAMPLES = BASE_DIR / "docs" / "examples"
# A machine that holds a process up for seconds makes the exchange refuse no order of a client that never asks again.
PATIENT = {"ENGINE_SILENT_MAX_S": "30", "EVENTS_BEHIND_MAX_S": "30"}
LEVELS = 15
TRADES = 6
# Its first account also gets keys of which it keeps the private half.
# All in one process: starting Django takes longer than making an account.
MAKE_ACCOUNTS = """
import json
from io import StringIO
from django.core.management import call_command
from apps.accounts.keyterms import KeyTerms
from apps.accounts.services.keyissue import issue_public_key
accounts = []
for name in ("client-a", "client-b"):
    said = StringIO()
    call_command("demo_account", name, fund=["BTC=80", "USDT=5000000", "ETH=500"], stdout=said)
    accounts.append(json.loads(said.getvalue()))
keys = [
    issue_public_key(
        account_id=accounts[0]["account_id"], pem=pem, terms=KeyTerms(label=str(number), can_read=True, can_trade=True)
    ).public_key
    for number, pem in enumerate({pems!r})
]
print(json.dumps([accounts, keys]))
"""


@dataclass(frozen=True, slots=True)
class Running:
    stack: Stack
    recorder: Recorder
    account: Account
    other: Account
    keys: dict[str, str]

    @property
    def place(self) -> Place:
        return Place(self.recorder.base_url, self.recorder.ws_url, self.stack.base_url)


def public_pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def private_pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def wait_for_a_market(base_url: str) -> None:
    """Until both sides have many levels and there is a history of trades to page through."""
    deadline = time.monotonic() + 120
    with httpx.Client(base_url=base_url, timeout=20) as http:
        while True:
            book = http.get("/api/v3/depth", params={"symbol": "BTCUSDT"}).json()
            trades = http.get("/api/v3/aggTrades", params={"symbol": "BTCUSDT"}).json()
            if min(len(book["bids"]), len(book["asks"])) >= LEVELS and len(trades) >= TRADES:
                return
            assert time.monotonic() < deadline, (
                f"{len(book['bids'])} bids, {len(book['asks'])} asks, {len(trades)} trades"
            )
            time.sleep(0.2)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The simulator has filled books and history and then stands still: what a check does is all that happens."""
    with Stack(SIMULATOR="1", PROCESSES=f"{TRADING},simulator", **PATIENT) as stack:
        private = [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)]
        made = json.loads(
            stack.manage("shell", "-v", "0", "-c", MAKE_ACCOUNTS.format(pems=[*map(public_pem, private)]))
        )
        account, other = (
            Account(row["email"], row["password"], row["api_key"], row["api_secret"], row["account_id"])
            for row in made[0]
        )
        (ed25519_key, rsa_key), (ed25519_pem, rsa_pem) = made[1], map(private_pem, private)
        keys = {
            "ED25519_API_KEY": ed25519_key, "ED25519_PEM": ed25519_pem, "RSA_API_KEY": rsa_key, "RSA_PEM": rsa_pem,
        }  # fmt: skip
        wait_for_a_market(stack.base_url)
        stack.stop_process("simulator")
        with Recorder(stack.base_url) as recorder:
            yield Running(stack, recorder, account, other, keys)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ("ccxt", "with_ccxt"),
        ("python-binance", "with_python_binance"),
        ("binance-connector", "with_connector"),
        ("binance-sdk-spot", "with_sdk"),
    ],
)
def test_client(running: Running, environment: str, folder: str) -> None:
    with running.recorder.watch() as record:
        print(run_checks(environment, folder, running.place, running.account, running.other, **running.keys))
    assert record.distinct_faults() == []
    missing = COVERED[environment] - record.calls.keys()
    assert not missing, f"{environment} never saw answered: {sorted(missing)}"


@pytest.fixture(scope="module")
def trading(running: Running) -> Iterator[Running]:
    """The same exchange with its simulator at work."""
    running.stack.start_process("simulator")
    yield running
    running.stack.stop_process("simulator")


def test_books_of_a_market_that_trades(trading: Running) -> None:
    """ccxt.pro's watchOrderBook and python-binance's DepthCacheManager over 30 s of the simulator, at the same time."""
    clients = {"ccxt": "live_ccxt", "python-binance": "live_python_binance"}
    with trading.recorder.watch() as record, ThreadPoolExecutor(len(clients)) as threads:
        following = [
            threads.submit(
                run_checks, environment, folder, trading.place, trading.account, trading.other, LIVE_SECONDS="30"
            )
            for environment, folder in clients.items()
        ]
        for client in following:
            print(client.result())
    assert record.distinct_faults() == []


@pytest.mark.parametrize(
    ("environment", "program"),
    [
        ("ccxt", "ccxt_bot"),
        ("ccxt", "ccxt_pro_bot"),
        ("python-binance", "python_binance_bot"),
        ("python-binance", "python_binance_streams_bot"),
        ("binance-connector", "binance_connector_bot"),
        ("binance-sdk-spot", "binance_sdk_spot_bot"),
    ],
)
def test_the_programs_of_the_bot_page(trading: Running, environment: str, program: str) -> None:
    """As they stand, with nothing between them and the exchange: an order placed and cancelled, and the book."""
    place = Place(trading.stack.base_url, trading.stack.ws_url, trading.stack.base_url)
    said = run(environment, str(EXAMPLES / f"{program}.py"), place=place, account=trading.account)
    for word in ("placed ", "canceled canceled" if environment == "ccxt" else "canceled CANCELED", "book "):
        assert word in said
