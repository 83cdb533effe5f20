"""POST /csp-report: what browsers say they refused to load or run. Counted, and logged without anybody's data.

Anybody may send anything here, so each text is either one of a closed set, a route of ours, or cut and escaped.
Addresses are never logged as they came: their paths hold tokens of mailed links, their queries hold searches.
"""

import json
import re
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from prometheus_client import Counter

from apps.common.contentpolicy import DIRECTIVES, TRUSTED_TYPES

log = structlog.get_logger("nebannpet.csp")

BODY_BYTES_MAX: Final = 16_384
REPORTS_PER_BODY_MAX: Final = 20
# A page of the admin reports some five at once, each in a post; somebody who reads on is not to be cut off.
POSTS_PER_ADDRESS_MAX: Final = 300
POSTS_MAX: Final = 3_000
WINDOW_S: Final = 60.0
TEXT_LENGTH_MAX: Final = 120

# Neither can be sent from another origin without its asking first, which we never allow.
OF_ONE: Final = "application/csp-report"
OF_MANY: Final = "application/reports+json"

REPORTS: Final = Counter(
    "nebannpet_csp_reports_total", "Violations of the content policy that browsers reported.", ["directive", "mode"]
)
REFUSED: Final = Counter("nebannpet_csp_reports_refused_total", "Posts of reports that were not taken.", ["reason"])

_DIRECTIVES: Final = frozenset({*DIRECTIVES, *TRUSTED_TYPES, "script-src-elem", "script-src-attr", "style-src-elem",
                                "style-src-attr", "frame-src", "object-src", "media-src", "manifest-src",
                                "worker-src", "child-src"})  # fmt: skip
_KEYWORDS: Final = frozenset({"inline", "eval", "wasm-eval", "self", "data", "blob", "about", "filesystem",
                              "trusted-types-sink", "trusted-types-policy"})  # fmt: skip
# What a Trusted Types report names before the text that was to be markup: 'Element innerHTML|...'. Only the name.
_SINK: Final = re.compile(r"([A-Za-z]{1,40}(?: [A-Za-z]{1,40})?)\|")


# What the two shapes call the same things.
_ONE: Final = {
    "directive": "effective-directive", "older": "violated-directive", "mode": "disposition", "page": "document-uri",
    "blocked": "blocked-uri", "source": "source-file", "line": "line-number", "sample": "script-sample",
}  # fmt: skip
_MANY: Final = {
    "directive": "effectiveDirective", "older": "violatedDirective", "mode": "disposition", "page": "documentURL",
    "blocked": "blockedURL", "source": "sourceFile", "line": "lineNumber", "sample": "sample",
}  # fmt: skip


class BadReport(Exception):
    """Its text says what was wrong with the post."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One report, safe to log. `page` is a route of the site, such as 'account/confirm/<str:token>', or 'none'."""

    directive: str
    mode: str
    page: str
    blocked: str
    source: str
    line: int
    sink: str


class Budget:
    """How many posts are taken in a window, from one address and in all, and which violations are news in it.

    What it remembers is bounded by `in_all` times REPORTS_PER_BODY_MAX.
    """

    def __init__(self, *, per_address: int, in_all: int, window_s: float, now: Callable[[], float]) -> None:
        self._per_address, self._in_all, self._window_s, self._now = per_address, in_all, window_s, now
        self._lock = threading.Lock()
        self._since = now()
        self._taken: Tally[str] = Tally()
        self._told: set[Violation] = set()

    def take(self, address: str) -> bool:
        with self._lock:
            if self._now() - self._since >= self._window_s:
                self._since = self._now()
                self._taken.clear()
                self._told.clear()
            if self._taken.total() >= self._in_all or self._taken[address] >= self._per_address:
                return False
            self._taken[address] += 1
            return True

    def is_news(self, violation: Violation) -> bool:
        """Whether this one is the first of its kind in the window: a log of thousands alike tells no more."""
        with self._lock:
            if violation in self._told:
                return False
            self._told.add(violation)
            return True


budget = Budget(per_address=POSTS_PER_ADDRESS_MAX, in_all=POSTS_MAX, window_s=WINDOW_S, now=time.monotonic)


@csrf_exempt
@never_cache
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """204; 400 for what is no report, 413 for one of more than BODY_BYTES_MAX, 429 beyond the budget."""
    if not budget.take(str(request.META.get("REMOTE_ADDR", ""))):
        return _refused(429, "rate", "Too many reports; send no more for a minute.")
    body = request.read(BODY_BYTES_MAX + 1)
    if len(body) > BODY_BYTES_MAX:
        return _refused(413, "size", f"A report has at most {BODY_BYTES_MAX} bytes.")
    try:
        violations = read_reports(request.content_type or "", body)
    except BadReport as error:
        return _refused(400, "malformed", str(error))
    for violation in violations:
        REPORTS.labels(violation.directive, violation.mode).inc()
        if not budget.is_news(violation):
            continue
        write = log.info if violation.mode == "report" else log.warning
        write(
            "a browser refused something on a page",
            directive=violation.directive,
            mode=violation.mode,
            page=violation.page,
            blocked=violation.blocked,
            source=violation.source,
            line=violation.line,
            sink=violation.sink,
        )
    return HttpResponse(status=204)


def read_reports(content_type: str, body: bytes) -> list[Violation]:
    """Both shapes: one of the directive report-uri, or a list of the Reporting API. BadReport says what is wrong."""
    if content_type not in (OF_ONE, OF_MANY):
        raise BadReport(f"The content type must be {OF_ONE} or {OF_MANY}.")
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadReport("The body is not JSON.") from error
    if content_type == OF_ONE:
        report = sent.get("csp-report") if isinstance(sent, dict) else None
        if not isinstance(report, dict):
            raise BadReport('The body must be an object with an object "csp-report".')
        return [_violation(report, _ONE)]
    if not isinstance(sent, list) or len(sent) > REPORTS_PER_BODY_MAX:
        raise BadReport(f"The body must be a list of at most {REPORTS_PER_BODY_MAX} reports.")
    found = []
    for each in sent:
        if not isinstance(each, dict) or not isinstance(each.get("body"), dict):
            raise BadReport('Each report must be an object with an object "body".')
        # Browsers send other kinds to the same address, deprecations for one.
        if each.get("type") == "csp-violation":
            found.append(_violation(each["body"], _MANY))
    return found


def _violation(report: dict[str, Any], names: dict[str, str]) -> Violation:
    def text(field: str) -> str:
        value = report.get(names[field]) or ""
        if not isinstance(value, str):
            raise BadReport(f'"{names[field]}" must be a text.')
        return value

    # Older browsers give the whole directive.
    directive = (text("directive") or text("older")).partition(" ")[0]
    line = report.get(names["line"]) or 0
    if not isinstance(line, int) or not 0 <= line < 10**9:
        raise BadReport(f'"{names["line"]}" must be a whole number.')
    sink = _SINK.match(text("sample"))
    return Violation(
        directive=directive if directive in _DIRECTIVES else "other",
        mode="report" if text("mode") == "report" else "enforce",
        page=_route(text("page")),
        blocked=_origin(text("blocked")),
        source=_script(text("source")),
        line=line,
        sink=sink.group(1) if sink else "",
    )


def _route(address: str) -> str:
    try:
        return resolve(urlsplit(address).path).route or "/"
    except (Resolver404, ValueError):
        return "none"


def _origin(address: str) -> str:
    """A word such as 'inline', or scheme and host of what was blocked."""
    if address in _KEYWORDS or not address:
        return address
    try:
        parts = urlsplit(address)
        return _plain(f"{parts.scheme}://{parts.hostname or ''}") if parts.scheme else "other"
    except ValueError:
        return "other"


def _script(address: str) -> str:
    """The path of a script of ours, else the origin: the page's own address may hold a token."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return "other"
    return _plain(path) if path.startswith("/static/") else _origin(address)


def _plain(text: str) -> str:
    return ascii(text[:TEXT_LENGTH_MAX])[1:-1]


def _refused(status: int, reason: str, words: str) -> HttpResponse:
    REFUSED.labels(reason).inc()
    return HttpResponse(words + "\n", status=status, content_type="text/plain; charset=utf-8")
