"""Every address of the site and who gets what there: the one table that the tests of pages go by.

A route of the URL resolver without a row here fails tests/pages/test_access.py. `world.py` makes what addresses name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.urls import URLPattern, URLResolver, get_resolver

from tests.accounts.people import PASSWORD

# A status, or LOGIN: on to the log-in page, and from there back here.
Answer = int | str
LOGIN: Final = "login"
NEW_PASSWORD: Final = "another horse battery"


@dataclass(frozen=True, slots=True)
class Place:
    """What GET answers, and POST with an empty form and a valid token; first to whom the address belongs.

    `address` names objects of the world in braces and is the route itself where that names none. `form` is what the
    owner can post with success. `page`: HTML of ours, which the accessibility tests open. `takes`: methods beside GET
    and POST.
    """

    route: str
    get: Answer
    post: Answer = 405
    anonymous: tuple[Answer, Answer] | None = None
    other: tuple[Answer, Answer] | None = None
    address: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    page: bool = False
    takes: tuple[str, ...] = ()

    def expected(self, role: str) -> tuple[Answer, Answer]:
        """For 'anonymous', 'owner', and 'other', as which staff count here, too."""
        given = {"anonymous": self.anonymous, "owner": None}.get(role, self.other)
        return given or (self.get, self.post)

    def takes_method(self, method: str) -> bool:
        return method in self.takes or (method == "POST" and self.post != 405)


PRIVATE: Final = (LOGIN, LOGIN)
NOT_THERE: Final = (404, 404)

PAGES: Final = (
    Place("", 200, page=True),
    Place("account/", 200, anonymous=PRIVATE, page=True),
    Place("account/allocation-rules", 200, 422, anonymous=PRIVATE, page=True),
    Place("account/allocation-rules/<int:rule_id>", 200, 422, PRIVATE, NOT_THERE, "account/allocation-rules/{rule}",
          page=True),
    Place("account/allocation-rules/<int:rule_id>/preview", 400, 405, PRIVATE, (404, 405),
          "account/allocation-rules/{rule}/preview"),
    Place("account/allocation-rules/<int:rule_id>/remove", 405, 302, PRIVATE, (405, 404),
          "account/allocation-rules/{rule}/remove"),
    Place(
        "account/api-keys", 200, 422, anonymous=PRIVATE, page=True,
        form={"label": "bot", "can_read": "on", "networks": "203.0.113.7", "password": PASSWORD},
    ),
    Place("account/api-keys/<int:key_id>/revoke", 405, 302, PRIVATE, (405, 404), "account/api-keys/{key}/revoke"),
    Place("account/api-keys/<int:key_id>/networks", 200, 422, PRIVATE, NOT_THERE, "account/api-keys/{sub_key}/networks",
          page=True, form={"networks": "203.0.113.7", "password": PASSWORD}),
    Place("account/balances", 200, 302, anonymous=PRIVATE, page=True),
    Place("account/balances/value-in", 405, 302, anonymous=PRIVATE),
    Place("account/check-mail", 200, page=True),
    Place("account/close", 200, 422, anonymous=PRIVATE, page=True),
    Place(
        "account/confirm/<str:token>", 200, 422, address="account/confirm/{sign_up_token}", page=True,
        form={"password": PASSWORD},
    ),
    Place("account/confirm-it-is-you", 200, 422, anonymous=PRIVATE, page=True, form={"password": PASSWORD}),
    Place("account/devices", 200, anonymous=PRIVATE, page=True),
    Place("account/devices/<int:device_id>/forget", 405, 302, PRIVATE, (405, 404), "account/devices/{device}/forget"),
    Place(
        "account/email", 200, 422, anonymous=PRIVATE, page=True,
        form={"email": "alice.new@example.org", "password": PASSWORD},
    ),
    Place("account/email/<str:token>", 200, 302, PRIVATE, (410, 410), "account/email/{email_token}", page=True),
    Place("account/fees", 200, anonymous=PRIVATE, page=True),
    Place("account/forgot-password", 200, 422, page=True, form={"email": "alice@example.org"}),
    Place("account/let-me-in", 200, 422, page=True, form={"email": "alice@example.org"}),
    Place("account/let-me-in/<str:token>", 200, 302, address="account/let-me-in/{let_in_token}", page=True),
    Place("account/lock/<str:token>", 200, address="account/lock/{lock_token}", post=200, page=True),
    Place(
        "account/log-in", 302, 302, anonymous=(200, 422), page=True,
        form={"username": "alice@example.org", "password": PASSWORD},
    ),
    Place("account/log-in/code", 302, 302),
    Place("account/log-in/lost", 405, 302),
    Place("account/log-ins", 200, anonymous=PRIVATE, page=True),
    Place("account/log-out", 405, 302),
    Place("account/mail-phrase", 200, 422, anonymous=PRIVATE, page=True,
          form={"phrase": "green tea at noon", "password": PASSWORD}),
    Place("account/notices", 200, anonymous=PRIVATE, page=True),
    Place("account/notices/preferences", 200, 422, anonymous=PRIVATE, page=True,
          form={"topics": "service", "email": "service"}),
    Place("account/notices/read", 405, 400, anonymous=PRIVATE),
    Place("account/notices/<int:notice_id>/read", 405, 302, PRIVATE, (405, 404), "account/notices/{notice}/read"),
    Place("account/passkeys", 200, anonymous=PRIVATE, page=True),
    # What belongs to whom there, and who has confirmed to be there, is in tests/accounts/test_passkeys_page.py.
    Place("account/passkeys/add", 302, 302, anonymous=PRIVATE),
    Place("account/passkeys/options", 405, 400, anonymous=PRIVATE),
    Place("account/passkeys/<int:passkey_id>/rename", 405, 404, anonymous=PRIVATE, address="account/passkeys/1/rename"),
    Place("account/passkeys/<int:passkey_id>/remove", 405, 302, anonymous=(405, LOGIN),
          address="account/passkeys/1/remove"),
    Place("account/orders", 200, anonymous=PRIVATE, page=True),
    Place("account/orders.csv", 200, anonymous=PRIVATE),
    Place("account/own-data", 302, 302, anonymous=PRIVATE),
    Place("account/password", 200, 422, anonymous=PRIVATE, page=True,
          form={"current": PASSWORD, "new": NEW_PASSWORD}),
    Place("account/recover/<str:token>", 410, 410, address="account/recover/unknown"),
    Place("account/lost-factor/<str:token>", 410, 410, address="account/lost-factor/unknown"),
    Place("account/stop-lost-factor/<str:token>", 410, 410, address="account/stop-lost-factor/unknown"),
    Place("account/reset-password/<str:token>", 200, 422, address="account/reset-password/{reset_token}", page=True,
          form={"new": NEW_PASSWORD}),
    Place("account/security", 200, anonymous=PRIVATE, page=True),
    Place("account/sessions/<int:session_id>/end", 405, 302, PRIVATE, (405, 404), "account/sessions/{session}/end"),
    Place("account/sessions/end-others", 405, 302, anonymous=PRIVATE),
    Place("account/sign-up", 302, 302, anonymous=(200, 422), page=True,
          form={"email": "carol@example.org", "password": PASSWORD}),
    Place("account/sub-accounts", 200, 422, anonymous=PRIVATE, page=True, form={"label": "second strategy"}),
    Place("account/sub-accounts/<int:account_id>", 200, 422, PRIVATE, NOT_THERE, "account/sub-accounts/{sub}",
          page=True, form={"label": "third strategy"}),
    Place("account/sub-accounts/<int:account_id>/api-keys", 200, 422, PRIVATE, NOT_THERE,
          "account/sub-accounts/{sub}/api-keys", page=True,
          form={"label": "bot", "can_read": "on", "networks": "203.0.113.7", "password": PASSWORD}),
    Place("account/sub-accounts/<int:account_id>/api-keys/<int:key_id>/revoke", 405, 302, PRIVATE, (405, 404),
          "account/sub-accounts/{sub}/api-keys/{sub_key}/revoke"),
    Place("account/sub-accounts/<int:account_id>/freeze", 405, 302, PRIVATE, (405, 404),
          "account/sub-accounts/{sub}/freeze"),
    Place("account/sub-accounts/<int:account_id>/unfreeze", 405, 302, PRIVATE, (405, 404),
          "account/sub-accounts/{sub}/unfreeze"),
    Place("account/time-zone", 200, 422, anonymous=PRIVATE, page=True, form={"zone": "Europe/Lisbon"}),
    Place("account/trades", 200, anonymous=PRIVATE, page=True),
    Place("account/trades.csv", 200, anonymous=PRIVATE),
    Place("account/two-factor", 200, anonymous=PRIVATE, page=True),
    Place("account/two-factor/app", 302, 302, anonymous=PRIVATE),
    Place("account/two-factor/begin", 405, 302, anonymous=(405, LOGIN)),
    Place("account/two-factor/recovery-codes", 405, 302, anonymous=(405, LOGIN)),
    Place("account/two-factor/remove", 405, 302, anonymous=(405, LOGIN)),
    Place("audit/checkpoint", 404),
    Place("audit/key", 404),
    Place("audit/proof/consistency", 400),
    Place("audit/proof/inclusion", 400),
    Place("banners/<int:banner_id>/dismiss", 405, 302, address="banners/{banner}/dismiss"),
    Place("bots", 200, page=True),
    Place("csp-report", 405, 400),
    Place("dev/mail", 200, page=True),
    Place("dev/mail/<int:email_id>", 200, address="dev/mail/{mail}", page=True),
    Place("dev/mail/<int:email_id>/html", 200, address="dev/mail/{mail}/html"),
    Place("docs/api", 200, page=True),
    Place("login/passkey", 302, 302, anonymous=(200, 422), page=True),
    Place("login/passkey/options", 405, 400),
    Place("docs/platform-api", 200, page=True),
    # Most of it is Swagger UI's.
    Place("docs/platform-api/reference", 200),
    Place("markets", 200, page=True),
    Place("trade", 302),
    Place("^trade/(?P<symbol>[A-Z0-9]{1,20})$", 200, address="trade/BTCUSDT", page=True),
    Place("trade/ticket", 405, 200, anonymous=(405, 401)),
    Place("trade/ticket/<int:account_id>", 405, 200, (405, 401), (405, 404), "trade/ticket/{sub}"),
)  # fmt: skip

# Of the platform API; no program sends a form, so that every post of one is refused.
API: Final = "api/platform/"


def _api(route: str, get: int = 405, post: int = 405, mine: bool = False, takes: str = "", address: str = "") -> Place:
    """`mine`: of its owner alone."""
    anonymous = (405 if get == 405 else 401, 405 if post == 405 else 401)
    other = (404 if mine and get == 200 else get, post)
    return Place(
        f"{API}v1/{route}", get, post, anonymous, other, f"{API}v1/{address or route}", takes=tuple(takes.split())
    )  # fmt: skip


PLATFORM_API: Final = (
    _api("accounts", 200, 415),
    _api("accounts/<int:account_id>", 200, mine=True, takes="PATCH", address="accounts/{sub}"),
    _api("accounts/<int:account_id>/freeze", post=415, address="accounts/{sub}/freeze"),
    _api("accounts/<int:account_id>/unfreeze", post=415, address="accounts/{sub}/unfreeze"),
    _api("api-keys", 200, 415),
    _api("api-keys/<int:key_id>", 200, mine=True, takes="PATCH DELETE", address="api-keys/{key}"),
    _api("confirmations", post=415),
    _api("profile", 200),
    _api("sessions", 200),
    _api("sessions/<int:session_id>", takes="DELETE", address="sessions/{session}"),
    _api("sessions/end-others", post=415),
    _api("allocation-rules", 200, 415),
    _api("allocation-rules/<int:rule_id>", 200, mine=True, takes="PUT DELETE", address="allocation-rules/{rule}"),
    _api("balances", 200),
    _api("notices", 200),
    _api("notices/<int:notice_id>/read", post=415, address="notices/{notice}/read"),
    _api("notices/preferences", 200, takes="PATCH"),
    _api("notices/read", post=415),
    _api("switches", 200),
    _api("transfers", 200, 415),
    _api("transfers/<int:transfer_id>", 404, mine=True, address="transfers/1"),
    # For everyone; the world's log has no entry.
    Place(f"{API}v1/audit/checkpoint", 404),
    Place(f"{API}v1/audit/proofs/consistency", 400),
    Place(f"{API}v1/audit/proofs/inclusion", 400),
    Place(f"{API}v1/openapi.json", 200),
    # Whatever else is asked for.
    Place(f"{API}^.*$", 404, 404, address=f"{API}v1/nothing", takes=("PUT", "PATCH", "DELETE", "TRACE", "BREW")),
)
SITE: Final = (*PAGES, *PLATFORM_API)

# Posts from anywhere without a token: it takes reports of browsers, and changes nothing.
WITHOUT_CSRF: Final = {"csp-report", f"{API}^.*$"}

# What the staff admin lets a superuser do by hand beside looking. Nothing of the ledger, of orders or of the audit log.
MODELS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(rights.split())
    for name, rights in {
        "accounts/accountsettings": "",
        "accounts/allocationchange": "",
        "accounts/allocationrule": "add change",
        "accounts/apikey": "",
        "accounts/familychange": "add",
        "accounts/tradingaccount": "",
        "accounts/tradingticket": "",
        "accounts/user": "",
        "audit/record": "",
        "auth/group": "",
        "controls/approvalrequest": "",
        "controls/switch": "add",
        "ledger/balance": "",
        "ledger/entry": "",
        "ledger/housetotal": "",
        "markets/asset": "add change",
        "markets/assetclasschange": "",
        "markets/classstatechange": "add",
        "markets/market": "add change",
        "markets/marketsettingschange": "",
        "markets/marketstatechange": "",
        "notifications/banner": "add",
        "notifications/outgoingemail": "",
        "orders/order": "",
        "orders/orderreview": "",
        "orders/parkedorder": "",
        "orders/preventedmatch": "",
        "orders/reconciliation": "",
        "orders/trade": "",
        "outbox/outboxrow": "",
    }.items()
}
# Of the admin itself: what GET answers to anonymous, staff without any right, and a superuser.
ADMIN: Final[dict[str, tuple[Answer, Answer, Answer]]] = {
    "admin/": (302, 200, 200),
    "admin/login/": (302, 302, 302),
    # Without anything that waits it leads to the start page.
    "admin/begun/": (302, 302, 302),
    "admin/logout/": (405, 405, 405),
    "admin/password_change/": (302, 302, 302),
    "admin/password_change/done/": (302, 200, 200),
    "admin/autocomplete/": (302, 403, 403),
    "admin/jsi18n/": (302, 200, 200),
    "admin/^<app_label>/$": (302, 404, 200),
    "admin/r/<path:content_type_id>/<path:object_id>/": (302, 404, 404),
    "admin/(?P<url>.*)$": (302, 404, 404),
}
ADMIN_ADDRESSES: Final = {
    "admin/^<app_label>/$": "admin/accounts/",
    "admin/r/<path:content_type_id>/<path:object_id>/": "admin/r/1/1/",
    "admin/(?P<url>.*)$": "admin/no/such/page/",
}
OF_EACH_MODEL: Final = ("", "add/", "<path:object_id>/history/", "<path:object_id>/delete/",
                        "<path:object_id>/change/", "<path:object_id>/")  # fmt: skip


def routes() -> Iterator[str]:
    """Every route that the URL resolver knows."""
    yield from _below(get_resolver().url_patterns, "")


def _below(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _below(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            # The admin writes the names of all apps into its own.
            yield re.sub(r"\(\?P<app_label>[^)]*\)", "<app_label>", prefix + str(pattern.pattern))


def known_routes() -> set[str]:
    models = {f"admin/{model}/{kind}" for model in MODELS for kind in OF_EACH_MODEL}
    return {place.route for place in SITE} | ADMIN.keys() | models
