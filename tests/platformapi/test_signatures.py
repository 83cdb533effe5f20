"""threat-T7: what was signed is what is done, once, and at about that time; and by whose key, from where it may."""

import base64
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pytest_django import Settings

from apps.accounts.api.authentication import signed_text
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import issue_public_key
from tests.platformapi.conftest import BASE, House, Program, code_of

ACCOUNTS = "/accounts"


def test_a_signed_request_counts_once_and_as_it_was_signed(house: House) -> None:
    bot = house.trader
    at_ms = bot.now_ms()
    headers = bot.headers("GET", BASE + ACCOUNTS, "limit=5", at_ms=at_ms)
    others = [
        ("GET", "/profile", b"", "limit=5", headers),
        ("POST", ACCOUNTS, b"", "", headers),
        ("GET", ACCOUNTS, b"{}", "limit=5", headers),
        ("GET", ACCOUNTS, b"", "limit=6", headers),
        ("GET", ACCOUNTS, b"", "limit=5&limit=5", headers),
        ("GET", ACCOUNTS, b"", "", headers),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Timestamp": str(at_ms + 1)}),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Signature": "0" * 64}),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Signature": ""}),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Key": house.reader.new.key.public_key}),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Key": "A" * 64}),
        ("GET", ACCOUNTS, b"", "limit=5", headers | {"X-API-Key": ""}),
    ]
    for other in others:
        answer = bot.raw(*other)
        assert (answer.status_code, code_of(answer)) == (401, "KEY_REFUSED"), other
    assert bot.raw("GET", ACCOUNTS, b"", "limit=5", headers).status_code == 200
    # The same once more, also with the signature and the names of the headers spelled otherwise.
    shouted = {name.upper(): value.upper() if name == "X-API-Signature" else value for name, value in headers.items()}
    for again in (headers, shouted):
        answer = bot.raw("GET", ACCOUNTS, b"", "limit=5", again)
        assert (answer.status_code, code_of(answer)) == (401, "SIGNATURE_USED")


def test_the_time_is_that_of_now(house: House) -> None:
    bot, now_ms = house.trader, time.time_ns() // 1_000_000
    for timestamp in ("", "0", "soon", str(now_ms // 1000), str(now_ms * 1000), f"+{now_ms}", "\uff11" * 13):
        headers = bot.headers("GET", BASE + ACCOUNTS) | {"X-API-Timestamp": timestamp.encode().decode("latin-1")}
        answer = bot.raw("GET", ACCOUNTS, b"", "", headers)
        assert (answer.status_code, code_of(answer)) == (401, "TIMESTAMP_OFF"), timestamp
    # Far from the limit, so that a slow machine decides nothing.
    for off_ms in (-3_600_000, 3_600_000):
        headers = bot.headers("GET", BASE + ACCOUNTS, at_ms=now_ms + off_ms)
        assert code_of(bot.raw("GET", ACCOUNTS, b"", "", headers)) == "TIMESTAMP_OFF"


def test_what_is_signed_is_one_text_for_one_request() -> None:
    def text(**changed: Any) -> bytes:
        sent = {"timestamp": "1", "method": "GET", "path": "/a", "query": "", "body": b""}
        return signed_text(**(sent | changed))

    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert text(query="b=2&a=%20") == f"1\nGET\n/a\na=%20&b=2\n{empty}".encode()
    assert text(query="a=1&a=2") == text(query="a=2&a=1") != text(query="a=1")


def test_without_redis_edge_reads_go_on_and_changes_wait(house: House, settings: Settings) -> None:
    settings.REDIS_EDGE_URL = "unix:///nowhere/redis.sock"
    bot = house.trader
    headers = bot.headers("GET", BASE + ACCOUNTS)
    assert bot.raw("GET", ACCOUNTS, b"", "", headers).status_code == 200
    assert code_of(bot.raw("GET", ACCOUNTS, b"", "", headers)) == "SIGNATURE_USED"
    answer = bot.send("POST", ACCOUNTS, {"label": "new"})
    assert (answer.status_code, code_of(answer), answer["Retry-After"]) == (503, "UNAVAILABLE", "5")
    assert not house.alice.trading_accounts.filter(label="new").exists()
    assert answer.json()["detail"].endswith("Sign it again with a new time.")


def test_a_key_works_as_long_and_from_where_it_may(house: House) -> None:
    bot, key = house.trader, house.trader.new.key
    ApiKey.objects.filter(pk=key.pk).update(allowed_networks=["203.0.113.0/24"])
    assert bot.send("GET", ACCOUNTS).status_code == 200
    bot.address = "198.51.100.1"
    answer = bot.send("GET", ACCOUNTS, X_Forwarded_For="203.0.113.7", X_Real_IP="203.0.113.7")
    assert (answer.status_code, code_of(answer)) == (401, "KEY_REFUSED")
    bot.address = "203.0.113.7"
    house.alice.is_active = False
    house.alice.save()
    assert code_of(bot.send("GET", ACCOUNTS)) == "KEY_REFUSED"
    house.alice.is_active = True
    house.alice.save()
    assert bot.send("GET", ACCOUNTS).status_code == 200
    revoke_api_key(account_id=key.account_id, key_id=key.pk)
    assert code_of(bot.send("GET", ACCOUNTS)) == "KEY_REFUSED"


def test_a_public_key_signs_too(house: House) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = issue_public_key(
        account_id=house.main.pk, pem=pem, terms=KeyTerms(label="mine", can_read=True, can_trade=False)
    )
    at = str(time.time_ns() // 1_000_000)
    text = signed_text(timestamp=at, method="GET", path=BASE + ACCOUNTS, query="", body=b"")
    proof = base64.b64encode(private.sign(text)).decode()
    headers = {"X-API-Key": key.public_key, "X-API-Timestamp": at, "X-API-Signature": proof}
    bot: Program = house.trader
    assert bot.raw("GET", "/profile", b"", "", headers).status_code == 401
    assert bot.raw("GET", ACCOUNTS, b"", "", headers).status_code == 200
