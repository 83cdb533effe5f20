"""POST /csp-report: both shapes are counted and logged, nobody's data is; what is no report changes nothing."""

import json
from typing import Any

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from nebannpet import cspreports
from nebannpet.cspreports import BODY_BYTES_MAX, OF_MANY, OF_ONE, REPORTS_PER_BODY_MAX, Budget

TOKEN = "t" * 43
ONE = {
    "csp-report": {
        "document-uri": f"http://localhost:8000/account/confirm/{TOKEN}?q=canary",
        "effective-directive": "script-src-elem",
        "violated-directive": "script-src-elem",
        "disposition": "enforce",
        "blocked-uri": "https://user:canary@evil.example/x.js?canary",
        "source-file": "http://localhost:8000/static/site/site.js?canary",
        "line-number": 7,
        "script-sample": "canary()",
    }
}
MANY = [
    {
        "type": "csp-violation",
        "age": 3,
        "url": "http://localhost:8000/admin/",
        "body": {
            "documentURL": "http://localhost:8000/admin/accounts/user/1/change/",
            "effectiveDirective": "require-trusted-types-for",
            "disposition": "report",
            "blockedURL": "trusted-types-sink",
            "sourceFile": None,
            "sample": "Element innerHTML|<b>canary</b>",
        },
    },
    {"type": "deprecation", "body": {"id": "canary"}},
]


@pytest.fixture(autouse=True)
def fresh_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cspreports, "budget", Budget(per_address=60, in_all=600, window_s=60, now=lambda: 0.0))


def post(body: Any, content_type: str = OF_ONE) -> Any:
    """From a browser without a form's token, as reports come."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(enforce_csrf_checks=True).post("/csp-report", data, content_type=content_type)


def counted(directive: str, mode: str) -> float:
    return REGISTRY.get_sample_value("nebannpet_csp_reports_total", {"directive": directive, "mode": mode}) or 0


def test_the_shape_of_report_uri() -> None:
    before = counted("script-src-elem", "enforce")
    with capture_logs() as lines:
        answer = post(ONE)
    assert (answer.status_code, answer.content) == (204, b"")
    assert counted("script-src-elem", "enforce") == before + 1
    assert [{**line, "event": ""} for line in lines] == [
        {
            "event": "", "log_level": "warning", "directive": "script-src-elem", "mode": "enforce",
            "page": "account/confirm/<str:token>", "blocked": "https://evil.example",
            "source": "/static/site/site.js", "line": 7, "sink": "",
        }
    ]  # fmt: skip


def test_the_shape_of_the_reporting_api() -> None:
    before = counted("require-trusted-types-for", "report")
    with capture_logs() as lines:
        assert post(MANY, OF_MANY).status_code == 204
    assert counted("require-trusted-types-for", "report") == before + 1
    (line,) = lines
    assert (line["log_level"], line["sink"], line["blocked"]) == ("info", "Element innerHTML", "trusted-types-sink")
    assert line["page"] == "admin/accounts/user/<path:object_id>/change/"


def test_hostile_texts_are_cut_and_escaped() -> None:
    hostile = "x\n2026-11-22 [info] all is well \x1b[2J\u202e" + "y" * 1500
    report = dict.fromkeys(ONE["csp-report"], hostile) | {"line-number": 1}
    with capture_logs() as lines:
        assert post({"csp-report": report}).status_code == 204
        report |= {"blocked-uri": f"a://{hostile}", "source-file": f"/static/{hostile}"}
        assert post({"csp-report": report}).status_code == 204
    assert len(lines) == 2
    for line in lines:
        assert line["directive"] == "other"
        assert line["page"] == "none"
        for text in map(str, line.values()):
            assert text.isascii()
            assert text.isprintable()
            assert len(text) < 700


@pytest.mark.parametrize("address", ["http://[", "//[x]y", "\x00", "http://localhost:8000/no/such/page", ""])
def test_an_address_that_is_none(address: str) -> None:
    with capture_logs() as lines:
        report = ONE["csp-report"] | {"document-uri": address, "blocked-uri": address, "source-file": address}
        assert post({"csp-report": report}).status_code == 204
    assert lines[0]["page"] in ("none", "/")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", OF_ONE),
        (b"{", OF_ONE),
        (b"\xff\xfe", OF_ONE),
        (b"[" * 9_000, OF_ONE),
        ([], OF_ONE),
        ({}, OF_ONE),
        ({"csp-report": []}, OF_ONE),
        ({"csp-report": {"document-uri": 5}}, OF_ONE),
        ({"csp-report": {"line-number": "5"}}, OF_ONE),
        ({"csp-report": {"line-number": -5}}, OF_ONE),
        ({"csp-report": {"line-number": 1e400}}, OF_ONE),
        (ONE, OF_MANY),
        (["x"], OF_MANY),
        ([{"type": "csp-violation"}], OF_MANY),
        (MANY * REPORTS_PER_BODY_MAX, OF_MANY),
        (ONE, "application/json"),
        (ONE, "text/plain"),
        (ONE, "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_report_is_refused_and_says_why(body: Any, content_type: str) -> None:
    with capture_logs() as lines:
        answer = post(body, content_type)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")
    assert answer.content.decode().strip()
    assert lines == []


def test_size_is_bounded() -> None:
    at_the_limit = json.dumps(ONE).encode().ljust(BODY_BYTES_MAX)
    assert post(at_the_limit).status_code == 204
    assert post(at_the_limit + b" ").status_code == 413
    assert post(b"x" * 3_000_000).status_code == 413


def test_rate_is_bounded_by_address_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    budget = Budget(per_address=2, in_all=3, window_s=60, now=lambda: now[0])
    assert [budget.take("a"), budget.take("a"), budget.take("a")] == [True, True, False]
    assert [budget.take("b"), budget.take("c")] == [True, False]
    now[0] = 59.9
    assert not budget.take("b")
    now[0] = 60.0
    assert budget.take("a")
    monkeypatch.setattr(cspreports, "budget", Budget(per_address=1, in_all=1, window_s=60, now=lambda: 0.0))
    assert [post(ONE).status_code, post(ONE).status_code] == [204, 429]


def test_the_same_again_is_counted_and_not_logged_again() -> None:
    before = counted("script-src-elem", "enforce")
    with capture_logs() as lines:
        assert [post(ONE).status_code for _ in range(3)] == [204] * 3
        assert post({"csp-report": ONE["csp-report"] | {"line-number": 8}}).status_code == 204
    assert counted("script-src-elem", "enforce") == before + 4
    assert [line["line"] for line in lines] == [7, 8]


def test_only_posts_are_taken() -> None:
    assert Client().get("/csp-report").status_code == 405
