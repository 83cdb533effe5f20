"""Roles of staff, with least rights (requirement A9): this table makes the groups, and nothing else gives rights.

`manage.py migrate` makes Django's groups what stands here (services/staffroles.py). A right is "app.codename"; what
each opens in the admin stands in docs/staff.md, which the tests compare with the admin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """The names of the groups."""

    SOC_ANALYST = "SOC analyst"
    SOC_LEAD = "SOC lead"
    OPERATIONS = "Operations"
    DEVELOPER = "Developer on call"
    SUPPORT = "Support"
    COMPLIANCE = "Compliance"
    PRODUCT = "Product"
    AUDITOR = "Auditor"
    ADMIN = "Admin"


@dataclass(frozen=True, slots=True)
class Duty:
    what: str
    rights: frozenset[str]


def _view(app: str, *models: str) -> frozenset[str]:
    return frozenset(f"{app}.view_{model}" for model in models)


_USERS: Final = _view("accounts", "user", "tradingaccount", "apikey", "tradingticket")
_FAMILIES: Final = _view("accounts", "accountsettings", "familychange", "allocationrule", "allocationchange")
_MARKETS: Final = _view(
    "markets", "asset", "market", "assetclasschange", "classstatechange", "marketsettingschange", "marketstatechange"
)
_ORDERS: Final = _view("orders", "order", "trade", "parkedorder", "orderreview", "preventedmatch")
_LEDGER: Final = _view("ledger", "balance", "entry", "housetotal")
_ENGINE: Final = _view("outbox", "outboxrow") | _view("orders", "reconciliation")
_SWITCHES: Final = _view("controls", "switch", "approvalrequest")
_MAIL: Final = _view("notifications", "outgoingemail")
_BANNERS: Final = _view("notifications", "banner")
_AUDIT: Final = _view("audit", "record")
_GROUPS: Final = _view("auth", "group")

_END_ACCESS: Final = frozenset({"accounts.change_apikey", "accounts.change_tradingticket", "accounts.switch_off_user"})
_MAKE_BANNERS: Final = _BANNERS | {"notifications.add_banner", "notifications.withdraw_banner"}
_END_SWITCHES: Final = frozenset({"controls.change_switch", "controls.approve_end_switch"})
_SOC: Final = _USERS | _MARKETS | _ORDERS | _SWITCHES | _BANNERS | _AUDIT | _END_ACCESS | {
    "controls.add_switch", "orders.review_parkedorder",
}  # fmt: skip

ROLES: Final[Mapping[Role, Duty]] = {
    Role.SOC_ANALYST: Duty("Watches; suspends, ends access, reviews parked orders.", _SOC),
    Role.SOC_LEAD: Duty(
        "Leads an incident: also halts markets, ends suspensions with another, tells users.",
        _SOC | _LEDGER | _ENGINE | _MAKE_BANNERS | _END_SWITCHES
        | {"markets.move_market", "accounts.approve_reopening_user"},
    ),
    Role.OPERATIONS: Duty(
        "Runs the exchange: assets, markets, e-mail, banners, suspensions.",
        _MARKETS | _ENGINE | _SWITCHES | _MAIL | _MAKE_BANNERS | _END_SWITCHES | {
            "controls.add_switch", "markets.add_asset", "markets.change_asset", "markets.add_market",
            "markets.change_market", "markets.move_market", "notifications.send_again_outgoingemail",
        },
    ),
    Role.DEVELOPER: Duty(
        "Looks for what is broken; changes nothing, sees no user.", _MARKETS | _ORDERS | _ENGINE | _SWITCHES
    ),
    Role.SUPPORT: Duty(
        "Helps users: ends access at once, asks for what opens it again.",
        _USERS | _FAMILIES | _ORDERS | _MAIL | _BANNERS | _SWITCHES | _END_ACCESS
        | {"accounts.reopen_user", "notifications.send_again_outgoingemail"},
    ),
    Role.COMPLIANCE: Duty(
        "Looks into users and money; suspends; decides on who gets back in.",
        _USERS | _FAMILIES | _ORDERS | _LEDGER | _SWITCHES | _AUDIT | _END_SWITCHES
        | {"controls.add_switch", "accounts.switch_off_user", "accounts.reopen_user"}
        | {"accounts.approve_reopening_user"},
    ),
    Role.PRODUCT: Duty(
        "Tells users what is new, and chooses who tries it first.",
        _MARKETS | _MAKE_BANNERS | _view("controls", "switch") | {"controls.flag_beta_tester"},
    ),
    Role.AUDITOR: Duty(
        "Sees everything, changes nothing.",
        _USERS | _FAMILIES | _MARKETS | _ORDERS | _LEDGER | _ENGINE | _SWITCHES | _MAIL | _BANNERS | _AUDIT | _GROUPS,
    ),
    Role.ADMIN: Duty(
        "Says who is staff, with another; looks after families and allocation rules.",
        _USERS | _FAMILIES | _SWITCHES | _AUDIT | _GROUPS | {
            "accounts.manage_staff", "accounts.switch_off_user", "accounts.approve_reopening_user",
            "accounts.change_tradingaccount",
            "accounts.add_familychange", "accounts.add_allocationrule", "accounts.change_allocationrule",
        },
    ),
}  # fmt: skip
