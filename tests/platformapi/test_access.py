"""Who may do what at every address: one table, and nothing beside it. What declares nothing is refused (threat-T13)."""

from collections.abc import Iterator
from typing import Any

from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver
from rest_framework.response import Response

from apps.web.api.access import Access, DeclaredAccess
from apps.web.api.throttling import PerUser
from apps.web.api.views import ApiView, UnknownAddress
from nebannpet.platformapi import urls
from tests.platformapi.conftest import BASE, House, Program, browser_of, code_of

PUBLIC, READ, READ_ALL, TRADE_ALL, SESSION = Access
RIGHTS = {
    "profile": {"GET": READ_ALL},
    "confirmations": {"POST": SESSION},
    "sessions": {"GET": SESSION},
    "sessions/end-others": {"POST": SESSION},
    "sessions/<int:session_id>": {"DELETE": SESSION},
    "api-keys": {"GET": SESSION, "POST": SESSION},
    "api-keys/<int:key_id>": {"GET": SESSION, "PATCH": SESSION, "DELETE": SESSION},
    "accounts": {"GET": READ, "POST": TRADE_ALL},
    "accounts/<int:account_id>": {"GET": READ, "PATCH": SESSION},
    "accounts/<int:account_id>/freeze": {"POST": TRADE_ALL},
    "accounts/<int:account_id>/unfreeze": {"POST": SESSION},
    "balances": {"GET": READ},
    "transfers": {"GET": READ_ALL, "POST": TRADE_ALL},
    "transfers/<int:transfer_id>": {"GET": READ_ALL},
    "allocation-rules": {"GET": READ_ALL, "POST": TRADE_ALL},
    "allocation-rules/<int:rule_id>": {"GET": READ_ALL, "PUT": TRADE_ALL, "DELETE": TRADE_ALL},
    "notices": {"GET": SESSION},
    "notices/read": {"POST": SESSION},
    "notices/<int:notice_id>/read": {"POST": SESSION},
    "notices/preferences": {"GET": SESSION, "PATCH": SESSION},
    "switches": {"GET": READ},
    "audit/checkpoint": {"GET": PUBLIC},
    "audit/proofs/inclusion": {"GET": PUBLIC},
    "audit/proofs/consistency": {"GET": PUBLIC},
    "openapi.json": {"GET": PUBLIC},
}
# Whom each right lets through, by the names below.
LETS_IN = {
    PUBLIC: {"anonymous", "session", "trader", "reader", "only trades", "desk"},
    READ: {"session", "trader", "reader", "desk"},
    READ_ALL: {"session", "trader", "reader"},
    TRADE_ALL: {"session", "trader", "only trades"},
    SESSION: {"session"},
}


def views(patterns: Any = urls.urlpatterns, prefix: str = "") -> Iterator[tuple[str, type[ApiView]]]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from views(each.url_patterns, prefix + str(each.pattern))
        else:
            assert isinstance(each, URLPattern)
            yield prefix + str(each.pattern), each.callback.cls  # type: ignore[attr-defined]


def test_every_view_declares_who_may_use_each_of_its_methods() -> None:
    declared = {}
    for route, view in views():
        assert issubclass(view, ApiView)
        # No view goes by other rules than all.
        assert view.permission_classes == [DeclaredAccess]
        assert view.throttle_classes == [PerUser]
        assert [each.__name__ for each in view.authentication_classes] == ["KeyAuthentication", "SessionAuthentication"]
        if view is not UnknownAddress:
            assert {m.upper() for m in view.http_method_names if hasattr(view, m)} == set(view.access), route
            declared[route.removeprefix("v1/")] = dict(view.access)
    assert declared == RIGHTS


def test_a_view_that_declares_nothing_lets_nobody_in(house: House) -> None:
    class Careless(ApiView):
        def get(self, request: Any) -> Response:
            return Response({"secret": 1})

    request = RequestFactory().get(BASE + "/careless")
    request.user = house.alice
    answer = Careless.as_view()(request)
    assert answer.status_code == 403
    assert b"ACCESS_DENIED" in answer.content
    assert b"secret" not in answer.content


def test_who_is_let_through_where(house: House) -> None:
    """At numbers that nothing has: who is let through is told that there is nothing, or what the body lacks."""
    only_trades = Program(house.new_key(house.main, can_read=False, can_trade=True))
    senders: dict[str, Any] = {
        "session": browser_of(house.alice).send,
        "trader": house.trader.send,
        "reader": house.reader.send,
        "only trades": only_trades.send,
        "desk": house.desk_bot.send,
        "anonymous": lambda method, path, body: Client().generic(
            method, BASE + path, b"" if body is None else b"{}", "application/json"
        ),
    }
    wrong = []
    for route, rights in RIGHTS.items():
        path = "/" + "/".join("999999" if part.startswith("<") else part for part in route.split("/"))
        for method, access in rights.items():
            for name, send in senders.items():
                answer = send(method, path, None if method in ("GET", "DELETE") else {})
                said = code_of(answer)
                expected = (
                    "" if name in LETS_IN[access] else "LOG_IN_NEEDED" if name == "anonymous" else "ACCESS_DENIED"
                )
                refused = said if said in ("LOG_IN_NEEDED", "ACCESS_DENIED") else ""
                if refused != expected or answer.status_code >= 500:
                    wrong.append(f"{name}: {method} {path}: {answer.status_code} {said} instead of {expected!r}")
    assert not wrong, "\n".join(wrong)


def test_what_is_of_somebody_else_is_not_there(house: House) -> None:
    """The same answer as for a number that nothing has; a key of a sub-account sees that one alone."""
    bobs_key = house.new_key(house.foreign, can_read=True, can_trade=True).key.pk
    browser_of(house.bob)
    bobs_session = house.bob.open_sessions.create(
        session_id=browser_of(house.bob).client.session.session_key, browser="x", address="203.0.113.9"
    ).pk
    alice = browser_of(house.alice, confirmed="password")
    tries = [
        ("GET", "/accounts/{}", house.foreign.pk, None),
        ("PATCH", "/accounts/{}", house.foreign.pk, {"label": "mine"}),
        ("POST", "/accounts/{}/freeze", house.foreign.pk, None),
        ("POST", "/accounts/{}/unfreeze", house.foreign.pk, None),
        ("GET", "/api-keys/{}", bobs_key, None),
        ("PATCH", "/api-keys/{}", bobs_key, {"networks": ["203.0.113.7"]}),
        ("DELETE", "/api-keys/{}", bobs_key, None),
        ("DELETE", "/sessions/{}", bobs_session, None),
    ]
    for method, path, number, body in tries:
        answers = [alice.send(method, path.format(each), body) for each in (number, 999_999)]
        found = [{**each.json(), "request_id": ""} for each in answers]
        assert found[0] == found[1]
        assert answers[0].status_code == 404, path
    assert house.desk_bot.send("GET", f"/accounts/{house.desk.pk}").json()["label"] == "Desk"
    assert code_of(house.desk_bot.send("GET", f"/accounts/{house.main.pk}")) == "NO_TRADING_ACCOUNT"
    assert [each["id"] for each in house.desk_bot.send("GET", "/accounts").json()["items"]] == [house.desk.pk]
    assert house.bob.open_sessions.filter(pk=bobs_session).exists()


def test_a_locked_user_is_let_in_by_nothing(house: House) -> None:
    browser = browser_of(house.alice)
    house.alice.locked_at = house.alice.created_at
    house.alice.save()
    assert code_of(browser.send("GET", "/accounts")) == "LOG_IN_NEEDED"
    assert code_of(house.trader.send("GET", "/accounts")) == "KEY_REFUSED"


def test_a_session_needs_its_token_to_change_something(house: House) -> None:
    client = browser_of(house.alice).client
    path = f"{BASE}/accounts"
    for extra in ({"headers": {"X-CSRFToken": ""}}, {"headers": {"X-CSRFToken": "x" * 32}},
                  {"headers": {"Origin": "https://evil.example"}},
                  {"secure": True, "headers": {"Referer": "https://evil.example/"}}):  # fmt: skip
        answer = client.post(path, {"label": "new"}, "application/json", **extra)
        assert (answer.status_code, code_of(answer)) == (403, "CSRF_FAILED"), extra
    # As a form of another site can send it, without asking first.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.generic("POST", path, b'{"label": "new"}', kind, headers={"X-CSRFToken": ""})
        assert answer.status_code in (403, 415), kind
    assert house.alice.trading_accounts.count() == 2
    # A key's signature counts, and no cookie beside it does.
    assert client.post(path, {"label": "new"}, "application/json").status_code == 201
    both = client.get(path, headers={"X-API-Key": "A" * 64, "X-API-Timestamp": "1"})
    assert code_of(both) == "TIMESTAMP_OFF"
