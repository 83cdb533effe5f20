"""Requests signed with Ed25519 and RSA keys, over REST and the WebSocket API, and sessions opened by Ed25519."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import get_user_model

from apps.accounts import keyproofs
from apps.accounts.keyterms import KeyTerms
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import issue_public_key
from tests.gateway.client import FORM, LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
Private = Ed25519PrivateKey | RSAPrivateKey


def sign(private: Private, message: bytes) -> str:
    raw = (
        private.sign(message) if isinstance(private, Ed25519PrivateKey) else private.sign(message, PKCS1v15(), SHA256())
    )
    return base64.b64encode(raw).decode()


def der(private: Private) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Signer:
    api_key: str
    key_id: int
    private: Private

    def stamped(self, **params: Any) -> str:
        return urlencode({**params, "timestamp": int(time.time() * 1000), "recvWindow": 20_000})

    def frame(self, **params: Any) -> dict[str, Any]:
        sent = {**params, "apiKey": self.api_key, "timestamp": int(time.time() * 1000), "recvWindow": 20_000}
        text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
        return {**sent, "signature": sign(self.private, text.encode())}


@pytest.fixture(scope="module")
def rsa_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture
def signer(alice: Client) -> Callable[..., Signer]:
    def make(private: Private, *, can_read: bool = True) -> Signer:
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        key = issue_public_key(
            account_id=alice.me.account_id, pem=pem, terms=KeyTerms(label="mine", can_read=can_read, can_trade=True)
        )
        return Signer(key.public_key, key.pk, private)

    return make


@pytest.fixture(params=["ed25519", "rsa"])
def owner(request: pytest.FixtureRequest, signer: Callable[[Private], Signer], rsa_key: RSAPrivateKey) -> Signer:
    return signer(Ed25519PrivateKey.generate() if request.param == "ed25519" else rsa_key)


# -- by themselves ----------------------------------------------------------------------------------------------------
def test_the_vector_of_rfc_8032() -> None:
    """Section 7.1, TEST 2: the message is one byte."""
    private = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    text = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    signed = base64.b64encode(bytes.fromhex(text)).decode()
    assert sign(private, b"\x72") == signed
    verifier = keyproofs.public_key(der(private))
    assert verifier.matches(b"\x72", signed)
    assert not verifier.matches(b"\x73", signed)


def test_what_is_no_signature(rsa_key: RSAPrivateKey) -> None:
    for private in (Ed25519PrivateKey.generate(), rsa_key):
        verifier, good = keyproofs.public_key(der(private)), sign(private, b"a=1")
        assert verifier.matches(b"a=1", good)
        assert verifier.matches(b"a=1", good.replace("+", " "))
        # A letter in the middle: at the end some bits of the last one mean nothing.
        flipped = good[:10] + ("A" if good[10] != "A" else "B") + good[11:]
        for bad in (
            "",
            "=",
            good[:-2],
            good[4:],
            good + "AAAA",
            flipped,
            good.swapcase(),
            "\u0661" * 8,
            "0" * 64,
            good[:-3],
        ):
            assert not verifier.matches(b"a=1", bad), bad
        assert not verifier.matches(b"a=2", good)
    other_hash = base64.b64encode(rsa_key.sign(b"a=1", PKCS1v15(), SHA512())).decode()
    assert not keyproofs.public_key(der(rsa_key)).matches(b"a=1", other_hash)


# -- REST -------------------------------------------------------------------------------------------------------------
def test_rest(public: Client, owner: Signer) -> None:
    headers = {"x-mbx-apikey": owner.api_key}
    text = owner.stamped(**GOOD)
    signed = quote(sign(owner.private, text.encode()), safe="")
    placed = public.raw("POST", f"/api/v3/order?{text}&signature={signed}", **headers)
    assert placed.status_code == 200, placed.text
    # In a form body, and with a plus sign that was not encoded, as some clients send it.
    text = owner.stamped(symbol="BTCUSDT", orderId=placed.json()["orderId"])
    body = f"{text}&signature={sign(owner.private, text.encode())}"
    canceled = public.raw("DELETE", "/api/v3/order", body.encode(), **headers, **FORM)
    assert (canceled.status_code, canceled.json()["status"]) == (200, "CANCELED")
    for changed in (text.replace("BTC", "ETH"), text + "&limit=1"):
        answer = public.raw("GET", f"/api/v3/allOrders?{changed}&signature={signed}", **headers)
        assert (answer.status_code, answer.json()["code"]) == (400, -1022)


def test_another_kind_of_proof_is_none(public: Client, alice: Client, owner: Signer) -> None:
    """A secret of the same account signs nothing in the name of this key, and the other way round."""
    text = owner.stamped()
    for key, proof in (
        (owner.api_key, alice.sign(text)), (alice.me.api_key, quote(sign(owner.private, text.encode()), safe="")),
    ):  # fmt: skip
        answer = public.raw("GET", f"/api/v3/account?{text}&signature={proof}", **{"x-mbx-apikey": key})
        assert (answer.status_code, answer.json()) == (
            400, {"code": -1022, "msg": "Signature for this request is not valid."},
        )  # fmt: skip


# -- WebSocket API ----------------------------------------------------------------------------------------------------
def test_signed_frames(exchange: Exchange, owner: Signer) -> None:
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        placed = socket.ask("order.place", **owner.frame(**GOOD))
        assert placed["status"] == 200, placed
        wrong = {**owner.frame(symbol="BTCUSDT"), "symbol": "ETHUSDT"}
        assert socket.ask("allOrders", **wrong)["error"]["code"] == -1022
        assert socket.ask("userDataStream.subscribe.signature", **owner.frame())["result"] == {"subscriptionId": 0}


def test_a_session_by_ed25519(exchange: Exchange, signer: Callable[[Private], Signer], bob: Client) -> None:
    owner = signer(Ed25519PrivateKey.generate())
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        logged_on = socket.ask("session.logon", **owner.frame())
        assert (logged_on["status"], logged_on["result"]["apiKey"]) == (200, owner.api_key)
        assert list(logged_on["result"]) == [
            "apiKey", "authorizedSince", "connectedSince", "returnRateLimits", "serverTime", "userDataStream",
        ]  # fmt: skip
        # No signature from here on; signed requests of other keys go on working.
        assert socket.ask("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
        placed = socket.ask("order.place", **GOOD, timestamp=int(time.time() * 1000))
        assert placed["status"] == 200, placed
        assert socket.ask("session.status")["result"]["userDataStream"] is True
        another = signer(Ed25519PrivateKey.generate())
        assert socket.ask("session.logon", **another.frame())["result"]["apiKey"] == another.api_key
        assert socket.ask("session.status")["result"]["userDataStream"] is False
        out = socket.ask("session.logout")["result"]
        assert (out["apiKey"], out["authorizedSince"]) == (None, None)
        assert socket.ask("account.status")["error"]["code"] == -2015


def test_other_keys_open_no_session(
    exchange: Exchange, alice: Client, signer: Callable[[Private], Signer], rsa_key: RSAPrivateKey
) -> None:
    owner = signer(rsa_key)
    secret = {"apiKey": alice.me.api_key, "timestamp": int(time.time() * 1000)}
    secret["signature"] = alice.sign("&".join(f"{name}={value}" for name, value in sorted(secret.items())))
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        for sent in (owner.frame(), secret):
            answer = socket.ask("session.logon", **sent)
            assert (answer["status"], answer["error"]["code"]) == (400, -4056)
        assert socket.ask("session.logon")["error"]["code"] == -1102
        assert socket.ask("session.status")["result"]["apiKey"] is None


def test_who_tries_signatures_is_cut_off(exchange: Exchange, signer: Callable[[Private], Signer]) -> None:
    owner = signer(Ed25519PrivateKey.generate())
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        for _ in range(5):
            socket.send({"id": 1, "method": "session.logon", "params": {**owner.frame(), "recvWindow": 1}})
        assert socket.closed_with() == 1008


def test_a_revoked_key_ends_its_session(exchange: Exchange, alice: Client, signer: Callable[[Private], Signer]) -> None:
    owner = signer(Ed25519PrivateKey.generate())
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("session.logon", **owner.frame())["status"] == 200
        revoke_api_key(account_id=alice.me.account_id, key_id=owner.key_id)
        assert socket.closed_with(20) == 4001
    text = owner.stamped()
    proof = quote(sign(owner.private, text.encode()), safe="")

    def refused() -> bool:
        answer = alice.http.get(f"/api/v3/account?{text}&signature={proof}", headers={"x-mbx-apikey": owner.api_key})
        return answer.status_code == 401 and answer.json()["code"] == -2015

    wait_until(refused)


def test_a_revoked_key_ends_what_it_shares_a_connection_with_and_no_other_key(
    exchange: Exchange, alice: Client, signer: Callable[[Private], Signer]
) -> None:
    owner, reader = signer(Ed25519PrivateKey.generate()), signer(Ed25519PrivateKey.generate())
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("session.logon", **owner.frame())["status"] == 200
        assert socket.ask("userDataStream.subscribe.signature", **reader.frame())["status"] == 200
        revoke_api_key(account_id=alice.me.account_id, key_id=reader.key_id)
        assert socket.closed_with(20) == 4001
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("account.status", **reader.frame())["error"]["code"] == -2015
        assert socket.ask("session.logon", **owner.frame())["status"] == 200
        assert socket.ask("account.status")["status"] == 200


def test_a_key_that_may_not_read_gets_no_user_data(exchange: Exchange, signer: Callable[..., Signer]) -> None:
    trader = signer(Ed25519PrivateKey.generate(), can_read=False)
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("session.logon", **trader.frame())["status"] == 200
        for method, sent in (
            ("userDataStream.subscribe", {}),
            ("userDataStream.subscribe", {"fromSeq": 0}),
            ("userDataStream.subscribe.signature", trader.frame()),
        ):
            assert socket.ask(method, **sent)["error"]["code"] == -2015
        assert socket.ask("session.subscriptions")["result"] == []


def test_an_account_switched_off_and_on_again_has_its_keys_back(
    exchange: Exchange, alice: Client, signer: Callable[..., Signer]
) -> None:
    owner = signer(Ed25519PrivateKey.generate())
    user = get_user_model().objects.filter(trading_accounts__pk=alice.me.account_id)
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("session.logon", **owner.frame())["status"] == 200
        user.update(is_active=False)
        assert socket.closed_with(40) == 4001
    user.update(is_active=True)

    def stays() -> bool:
        with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
            if socket.ask("session.logon", **owner.frame())["status"] != 200:
                return False
            assert socket.ask("userDataStream.subscribe")["status"] == 200
            return True

    wait_until(stays)
