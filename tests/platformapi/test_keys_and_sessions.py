"""What a user does over the platform API, by the services of the pages: what they refuse is refused here."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import ApiKey, OpenSession, TradingAccount, User
from apps.accounts.secrets import decrypt_secret
from apps.audit.models import Record
from tests.accounts.factors import called_lost, with_app
from tests.accounts.passkeys import with_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code
from tests.platformapi.conftest import Browser, House, Program, browser_of, code_of

PUBLIC_KEY = (
    Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def key(house: House, **changed: Any) -> dict[str, Any]:
    wanted = {"account": house.main.pk, "label": "mine", "can_read": True, "can_trade": False}
    return {name: value for name, value in {**wanted, **changed}.items() if value != "left out"}


def test_a_key_is_made_by_who_has_proved_to_be_there(house: House) -> None:
    alice = browser_of(house.alice)
    before = ApiKey.objects.count()
    assert code_of(alice.send("POST", "/api-keys", key(house))) == "STEP_UP_NEEDED"
    assert code_of(alice.send("POST", "/confirmations", {"password": "not it"})) == "WRONG_PASSWORD"
    assert code_of(alice.send("POST", "/confirmations", {"code": "123456"})) == "FACTOR_MISSING"
    assert code_of(alice.send("POST", "/confirmations", {"code": "123456", "password": "x"})) == "INVALID_REQUEST"
    assert code_of(alice.send("POST", "/api-keys", key(house))) == "STEP_UP_NEEDED"
    confirmed = alice.send("POST", "/confirmations", {"password": PASSWORD})
    assert confirmed.status_code == 201
    assert code_of(alice.send("POST", "/api-keys", key(house, can_trade=True))) == "FACTOR_MISSING"
    assert ApiKey.objects.count() == before
    made = alice.send("POST", "/api-keys", key(house, networks=["203.0.113.0/24"], expires_after_days=30))
    assert made.status_code == 201
    found = made.json()
    row = ApiKey.objects.get(pk=found["id"])
    assert (row.account_id, row.label, row.can_read, row.can_trade) == (house.main.pk, "mine", True, False)
    assert row.allowed_networks == ["203.0.113.0/24"] == found["networks"]
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    # The secret is in this one answer, and works.
    assert decrypt_secret(row.public_key, row.secret_box).decode() == found["secret"]
    new = house.trader.new
    assert Program(type(new)(key=row, secret=found["secret"])).send("GET", "/accounts").status_code == 200
    for answer in (alice.send("GET", "/api-keys"), alice.send("GET", f"/api-keys/{row.pk}")):
        assert found["secret"] not in answer.content.decode()
        assert "secret" not in answer.json()
    assert Record.objects.filter(action="api-key.created", object=f"api-key:{row.pk}").exists()
    # The same body once more makes no second one.
    assert code_of(alice.send("POST", "/api-keys", key(house))) == "LABEL_TAKEN"


def test_a_key_with_more_rights_takes_more_proof(house: House) -> None:
    secret, _ = with_app(house.alice)
    alice = browser_of(house.alice)
    assert code_of(alice.send("POST", "/confirmations", {"password": PASSWORD})) == "INVALID_REQUEST"
    assert code_of(alice.send("POST", "/confirmations", {"code": "12345"})) == "WRONG_CODE"
    code = fresh_code(secret)
    assert alice.send("POST", "/confirmations", {"code": code}).status_code == 201
    assert code_of(alice.send("POST", "/confirmations", {"code": code})) == "WRONG_CODE"
    made = alice.send("POST", "/api-keys", key(house, account=house.desk.pk, can_trade=True, public_key=PUBLIC_KEY))
    assert (made.status_code, made.json()["kind"], made.json()["secret"]) == (201, "ed25519", None)
    withdraws = {"can_withdraw": True, "label": "third"}
    networks = {"networks": ["203.0.113.7"]}
    for changed, refusal in (
        (withdraws, "INVALID_NETWORK"),
        (withdraws | networks, "CODE_NEEDED"),
        (withdraws | networks | {"code": code}, "WRONG_CODE"),
        (withdraws | networks | {"code": "000000", "expires_after_days": None}, "INVALID_API_KEY_REQUEST"),
        ({"code": code}, "INVALID_REQUEST"),
    ):
        assert code_of(alice.send("POST", "/api-keys", key(house, **changed))) == refusal, changed
    case = called_lost(house.alice)
    unused = fresh_code(secret)
    for changed, refusal in (({"label": "mine"}, "LABEL_TAKEN"), ({"public_key": "no key"}, "INVALID_PUBLIC_KEY")):
        sent = key(house, **{**withdraws, **networks, "account": house.desk.pk, "code": unused, **changed})
        assert code_of(alice.send("POST", "/api-keys", sent)) == refusal, "and the code is still good"
    made = alice.send("POST", "/api-keys", key(house, **withdraws, **networks, code=unused))
    assert (made.status_code, made.json().get("can_withdraw")) == (201, True)
    case.refresh_from_db()
    assert case.state == "withdrawn", "the app was shown"


def test_a_key_is_limited_to_other_networks(house: House) -> None:
    row, foreign = house.trader.new.key, "203.0.113.0/24"
    secret, _ = with_app(house.alice)
    alice = browser_of(house.alice)
    path, wanted = f"/api-keys/{row.pk}", {"networks": [foreign]}
    assert code_of(alice.send("PATCH", path, wanted)) == "STEP_UP_NEEDED"
    assert alice.send("POST", "/confirmations", {"code": fresh_code(secret)}).status_code == 201
    for changed, refusal in (
        ({"networks": []}, "INVALID_REQUEST"), ({"networks": ["nowhere"]}, "INVALID_NETWORK"),
        ({"networks": None}, "INVALID_REQUEST"), ({"code": "123456"}, "INVALID_REQUEST"),
        ({"can_withdraw": True}, "INVALID_REQUEST"),
    ):  # fmt: skip
        assert code_of(alice.send("PATCH", path, wanted | changed)) == refusal, changed
    row.refresh_from_db()
    assert row.allowed_networks == []
    answer = alice.send("PATCH", path, wanted)
    assert (answer.status_code, answer.json()["networks"]) == (200, [foreign])
    row.refresh_from_db()
    assert row.allowed_networks == [foreign]


def test_what_makes_no_key(house: House) -> None:
    alice = browser_of(house.alice, confirmed="password")
    before = ApiKey.objects.count()
    for changed, refusal in (
        ({"account": house.foreign.pk}, "NO_TRADING_ACCOUNT"),
        ({"account": str(house.main.pk)}, "INVALID_REQUEST"),
        ({"account": "left out"}, "INVALID_REQUEST"),
        ({"can_read": "true"}, "INVALID_REQUEST"),
        ({"can_read": 1}, "INVALID_REQUEST"),
        ({"can_read": False}, "INVALID_API_KEY_REQUEST"),
        ({"label": " "}, "INVALID_API_KEY_REQUEST"),
        ({"label": "a\u202eb"}, "INVALID_API_KEY_REQUEST"),
        ({"label": "x" * 61}, "INVALID_REQUEST"),
        ({"networks": ["everywhere"]}, "INVALID_NETWORK"),
        ({"networks": "203.0.113.7"}, "INVALID_REQUEST"),
        ({"networks": ["203.0.113.7"] * 31}, "INVALID_REQUEST"),
        ({"networks": [[["203.0.113.7"]]]}, "INVALID_REQUEST"),
        ({"expires_after_days": 7}, "INVALID_API_KEY_REQUEST"),
        ({"expires_after_days": None}, "INVALID_NETWORK"),
        ({"public_key": "no key"}, "INVALID_PUBLIC_KEY"),
        ({"secret": "mine"}, "INVALID_REQUEST"),
    ):
        answer = alice.send("POST", "/api-keys", key(house, **changed))
        assert (code_of(answer), answer.status_code < 500) == (refusal, True), changed
    assert ApiKey.objects.count() == before


def test_keys_are_listed_and_revoked(house: House) -> None:
    alice = browser_of(house.alice)
    ids = [house.desk_bot.new.key.pk, house.reader.new.key.pk, house.trader.new.key.pk]
    first = alice.send("GET", "/api-keys", query="limit=2").json()
    assert [each["id"] for each in first["items"]] == ids[:2]
    last = alice.send("GET", "/api-keys", query=f"limit=2&cursor={first['next']}").json()
    assert ([each["id"] for each in last["items"]], last["next"]) == (ids[2:], None)
    of_desk = alice.send("GET", "/api-keys", query=f"account={house.desk.pk}").json()["items"]
    assert [each["id"] for each in of_desk] == ids[:1]
    assert code_of(alice.send("GET", "/api-keys", query=f"account={house.foreign.pk}")) == "NO_TRADING_ACCOUNT"
    for _ in range(2):
        assert alice.send("DELETE", f"/api-keys/{ids[0]}").status_code == 204
    assert alice.send("GET", f"/api-keys/{ids[0]}").json()["revoked_at"].endswith("Z")
    assert code_of(house.desk_bot.send("GET", "/accounts")) == "KEY_REFUSED"
    assert Record.objects.filter(action="api-key.revoked").count() == 1


def test_an_expired_key_is_none_and_a_used_one_says_so(house: House) -> None:
    assert house.trader.send("GET", "/accounts").status_code == 200
    row = ApiKey.objects.get(pk=house.trader.new.key.pk)
    assert (row.last_used_address, row.last_used_at is not None) == ("203.0.113.7", True)
    used_at = row.last_used_at
    assert house.trader.send("GET", "/accounts").status_code == 200
    row.refresh_from_db()
    assert row.last_used_at == used_at, "written at most once a minute"
    ended = house.new_key(house.main, can_read=True, can_trade=False, expires_at=timezone.now())
    assert code_of(Program(ended).send("GET", "/accounts")) == "KEY_REFUSED"


def opened(user: User) -> tuple[Browser, int]:
    browser = browser_of(user)
    row = OpenSession.objects.create(
        session_id=browser.client.session.session_key, user=user, browser="Firefox on Linux", address="203.0.113.9"
    )
    assert browser.send("GET", "/profile").status_code == 200
    return browser, row.pk


def test_a_key_whose_kept_secret_is_damaged_is_none(house: House) -> None:
    ApiKey.objects.filter(pk=house.reader.new.key.pk).update(secret_box=b"damaged")
    assert code_of(house.reader.send("GET", "/accounts")) == "KEY_REFUSED"


def test_a_passkey_alone_is_shown_on_pages(house: House) -> None:
    with_passkey(house.alice)
    alice = browser_of(house.alice, confirmed="passkey")
    asked = key(house, can_withdraw=True, networks=["203.0.113.7"], code="123456")
    for body in (asked, {name: value for name, value in asked.items() if name != "code"}):
        answer = alice.send("POST", "/api-keys", body)
        assert (code_of(answer), "on the page" in answer.json()["detail"]) == ("CODE_NEEDED", True)


def test_sessions_are_listed_and_ended(house: House) -> None:
    here, here_id = opened(house.alice)
    there, there_id = opened(house.alice)
    third, third_id = opened(house.alice)
    found = here.send("GET", "/sessions").json()
    assert [(each["id"], each["is_this"]) for each in found["items"]] == [
        (third_id, False),
        (there_id, False),
        (here_id, True),
    ]
    page = here.send("GET", "/sessions", query=f"limit=1&cursor={third_id}").json()
    assert ([each["id"] for each in page["items"]], page["next"]) == ([there_id], str(there_id))
    assert here.send("DELETE", f"/sessions/{there_id}").status_code == 204
    assert code_of(there.send("GET", "/sessions")) == "LOG_IN_NEEDED"
    assert code_of(here.send("DELETE", f"/sessions/{there_id}")) == "SESSION_NOT_FOUND"
    assert here.send("POST", "/sessions/end-others").json() == {"ended": 1}
    assert code_of(third.send("GET", "/sessions")) == "LOG_IN_NEEDED"
    assert here.send("GET", "/sessions").status_code == 200
    assert Record.objects.filter(action="user.session-ended").count() == 2


def test_what_is_asked_in_a_session_that_ended_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = browser_of(house.alice, confirmed="password")

    def end_first(**_: Any) -> TradingAccount:
        Session.objects.all().delete()
        return house.main

    monkeypatch.setattr("apps.accounts.api.keys.own_account", end_first)
    before = ApiKey.objects.count()
    answer = alice.send("POST", "/api-keys", key(house))
    assert (answer.status_code, code_of(answer)) == (401, "SESSION_ENDED")
    assert ApiKey.objects.count() == before


def test_sub_accounts_are_made_named_and_frozen(house: House) -> None:
    alice = browser_of(house.alice)
    made = house.trader.send("POST", "/accounts", {"label": "By bot"})
    assert (made.status_code, made.json()["label"], made.json()["is_master"]) == (201, "By bot", False)
    path = f"/accounts/{made.json()['id']}"
    assert alice.send("PATCH", path, {"label": "Renamed"}).json()["label"] == "Renamed"
    assert house.trader.send("POST", f"{path}/freeze").json()["is_frozen"] is True
    assert house.trader.send("POST", f"{path}/freeze", {}).json()["is_frozen"] is True
    # Who has stolen a session does not end what its owner began.
    assert code_of(alice.send("POST", f"{path}/unfreeze")) == "STEP_UP_NEEDED"
    assert alice.send("GET", path).json()["is_frozen"] is True
    confirmed = browser_of(house.alice, confirmed="password")
    assert confirmed.send("POST", f"{path}/unfreeze").json()["is_frozen"] is False
    for method, rest, body in (("PATCH", "", {"label": "x"}), ("POST", "/freeze", None), ("POST", "/unfreeze", None)):
        answer = confirmed.send(method, f"/accounts/{house.main.pk}{rest}", body)
        assert (answer.status_code, code_of(answer)) == (403, "MAIN_ACCOUNT_STAYS")


def test_the_number_of_queries_is_constant(house: House) -> None:
    alice = browser_of(house.alice)

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert alice.send("GET", path, query="limit=100").status_code == 200
        return len(seen)

    alice.send("GET", "/accounts")
    paths = ("/accounts", "/api-keys", "/sessions")
    before = [queries(path) for path in paths]
    for number in range(5):
        account = TradingAccount.objects.create(owner=house.alice, label=f"more {number}")
        house.new_key(account, can_read=True, can_trade=False)
        opened(house.alice)
    assert [queries(path) for path in paths] == before
    assert max(before) <= 5


def test_who_is_logged_in(house: House) -> None:
    with_app(house.alice)
    for send in (browser_of(house.alice).send, house.reader.send):
        found = send("GET", "/profile").json()
        assert found == {
            "id": house.alice.pk,
            "email": "alice@example.org",
            "created_at": house.alice.created_at.isoformat().replace("+00:00", "Z"),
            "master_account": house.main.pk,
            "second_factors": ["authenticator"],
            "withdrawals_held_until": None,
        }
