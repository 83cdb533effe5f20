"""The decision on sensitive actions (requirements A3, A4, W3, W10): pure, told the facts, the switches and the time.

RULES is the requirement as a table; `decide` reads one row of it in this order: refused, held, proof, review, allowed.
So nobody is asked for a code for what is refused anyway, and nobody reviews what was not proved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from apps.accounts.facts import Channel, Factor, Facts
from apps.accounts.policy import (
    LISTED_ADDRESS_COOL_DOWN_S,
    STAFF_MONEY_APPROVALS,
    STEP_UP_S,
    WITHDRAWAL_APPROVALS,
)
from apps.controls.gates import Closed, Gates

STEP_UP_FOR: Final = timedelta(seconds=STEP_UP_S)
COOL_DOWN: Final = timedelta(seconds=LISTED_ADDRESS_COOL_DOWN_S)


class Action(StrEnum):
    """What is asked for. A key has the action of its highest right: withdraw, trade, read."""

    WITHDRAW = "withdraw"
    WHITELIST_ADD = "whitelist-add"
    WHITELIST_OFF = "whitelist-off"
    WHITELIST_ON = "whitelist-on"
    WHITELIST_REMOVE = "whitelist-remove"
    KEY_WITHDRAW = "key-withdraw"
    KEY_TRADE = "key-trade"
    KEY_READ = "key-read"
    CHANGE_EMAIL = "change-email"
    CHANGE_PASSWORD = "change-password"  # noqa: S105  # nosec B105 # a word, not a password
    ADD_FACTOR = "add-factor"
    REMOVE_FACTOR = "remove-factor"  # and put another in its place
    TRANSFER = "transfer"
    UNFREEZE = "unfreeze"
    EXPORT_DATA = "export-data"
    CLOSE_ACCOUNT = "close-account"
    STAFF_PAGES = "staff-pages"
    STAFF_MONEY = "staff-money"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    NEEDS_STEP_UP = "needs-step-up"
    NEEDS_FRESH_CODE = "needs-fresh-code"
    NEEDS_REVIEW = "needs-review"
    HELD = "held"
    REFUSED = "refused"


class SecondFactor(Enum):
    """Whether somebody without one may do it at all (A3)."""

    IF_SET_UP = 1
    FOR_HIGH_VALUE = 2
    ALWAYS = 3


class Proof(Enum):
    """A step-up covers everything for 15 minutes; a fresh code only the request that it was given for."""

    STEP_UP = 1
    FRESH_CODE = 2


class Closes(Enum):
    """Which switch closes it."""

    NOTHING = 0
    WITHDRAWALS = 1
    WHITELIST = 2
    STAFF_MONEY = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `held`: not while withdrawals are held (A4). `by_key`: an API key with the right may ask for it, too.
    `approvals`: of other staff members; for a withdrawal only above the limits (W10).
    """

    second_factor: SecondFactor
    proof: Proof
    switch: Closes = Closes.NOTHING
    held: bool = False
    by_key: bool = False
    staff: bool = False
    approvals: int = 0


_IF_SET_UP, _HIGH_VALUE, _ALWAYS = SecondFactor.IF_SET_UP, SecondFactor.FOR_HIGH_VALUE, SecondFactor.ALWAYS
_STEP_UP, _FRESH = Proof.STEP_UP, Proof.FRESH_CODE

# fmt: off
RULES: Final[Mapping[Action, Rule]] = {
    #                             second factor, proof
    Action.WITHDRAW:         Rule(_HIGH_VALUE,   _FRESH,   Closes.WITHDRAWALS, held=True, by_key=True,
                                  approvals=WITHDRAWAL_APPROVALS),
    Action.WHITELIST_ADD:    Rule(_ALWAYS,       _FRESH,   Closes.WHITELIST),
    Action.WHITELIST_OFF:    Rule(_ALWAYS,       _FRESH,   Closes.WHITELIST),
    Action.WHITELIST_ON:     Rule(_IF_SET_UP,    _FRESH),
    Action.WHITELIST_REMOVE: Rule(_IF_SET_UP,    _FRESH),
    Action.KEY_WITHDRAW:     Rule(_ALWAYS,       _FRESH),
    Action.KEY_TRADE:        Rule(_ALWAYS,       _STEP_UP),
    Action.KEY_READ:         Rule(_IF_SET_UP,    _STEP_UP),
    Action.CHANGE_EMAIL:     Rule(_IF_SET_UP,    _STEP_UP),
    Action.CHANGE_PASSWORD:  Rule(_IF_SET_UP,    _STEP_UP),
    Action.ADD_FACTOR:       Rule(_IF_SET_UP,    _STEP_UP),
    Action.REMOVE_FACTOR:    Rule(_IF_SET_UP,    _STEP_UP),
    Action.TRANSFER:         Rule(_IF_SET_UP,    _STEP_UP, by_key=True),
    Action.UNFREEZE:         Rule(_IF_SET_UP,    _STEP_UP),
    Action.EXPORT_DATA:      Rule(_IF_SET_UP,    _STEP_UP),
    Action.CLOSE_ACCOUNT:    Rule(_IF_SET_UP,    _FRESH),
    Action.STAFF_PAGES:      Rule(_ALWAYS,       _STEP_UP, staff=True),
    Action.STAFF_MONEY:      Rule(_ALWAYS,       _FRESH,   Closes.STAFF_MONEY, staff=True,
                                  approvals=STAFF_MONEY_APPROVALS),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Decision:
    """`code` and `message` say why it is not allowed, for programs and for people; `until` is of HELD; one of `factors`
    is what a code or a step-up may come from (empty: the password); `approvals` are those still missing.
    """

    verdict: Verdict
    code: str = ""
    message: str = ""
    until: datetime | None = None
    factors: frozenset[Factor] = frozenset()
    approvals: int = 0

    @property
    def is_allowed(self) -> bool:
        return self.verdict is Verdict.ALLOWED


ALLOWED: Final = Decision(Verdict.ALLOWED)
_AUTHENTICATOR: Final = frozenset({Factor.AUTHENTICATOR})
_PASSKEY: Final = frozenset({Factor.PASSKEY})


def decide(action: Action, facts: Facts, switches: Gates, now: datetime) -> Decision:
    """What `facts` may do now. The same inputs give the same answer; nothing is read or written.

    WITHDRAW needs `facts.withdrawal`. What is allowed at the request is decided again, with the same proofs, in the
    transaction that takes effect: switches, holds and approvals are of that moment.
    """
    assert (action is Action.WITHDRAW) == (facts.withdrawal is not None), "a withdrawal is told by what it is"
    rule = RULES[action]
    proving = _proving(rule, facts)
    return (
        _refused(rule, facts, switches, proving)
        or _held(rule, facts, now)
        or _unproved(rule, facts, proving, now)
        or _unreviewed(rule, facts)
        or ALLOWED
    )


def _proving(rule: Rule, facts: Facts) -> frozenset[Factor]:
    """The factors of theirs that count. Of a high-value withdrawal the authenticator's code does, nothing instead."""
    if rule.staff and facts.needs_passkey:
        return facts.factors & _PASSKEY
    if facts.withdrawal is not None and facts.withdrawal.is_high_value:
        return facts.factors & _AUTHENTICATOR
    return facts.factors


def _refused(rule: Rule, facts: Facts, switches: Gates, proving: frozenset[Factor]) -> Decision | None:
    closed = _gate(rule, switches)
    withdrawal = facts.withdrawal
    high_value = withdrawal is not None and withdrawal.is_high_value
    if not facts.is_active:
        return _no("ACCOUNT_OFF", "This account is switched off.")
    if rule.staff and not facts.is_staff:
        return _no("NOT_STAFF", "Only staff may do this.")
    if facts.channel is Channel.API_KEY and not rule.by_key:
        return _no("NOT_BY_KEY", "An API key cannot do this. Log in to do it.")
    if facts.frozen:
        return _no("ACCOUNT_FROZEN", "This account is frozen: nothing leaves it.")
    if closed is not None:
        return _no(closed.code, closed.message)
    if withdrawal is not None and withdrawal.whitelist_on and withdrawal.listed_at is None:
        return _no("NOT_LISTED", "Your whitelist is on, and this address is not on it.")
    mandatory = rule.second_factor is SecondFactor.ALWAYS or (
        rule.second_factor is SecondFactor.FOR_HIGH_VALUE and high_value
    )
    if mandatory and not proving:
        return _no("FACTOR_MISSING", _missing(rule, facts, high_value=high_value))
    return None


def _gate(rule: Rule, switches: Gates) -> Closed | None:
    match rule.switch:
        case Closes.WITHDRAWALS:
            return switches.withdrawals
        case Closes.WHITELIST:
            return switches.whitelist
        case Closes.STAFF_MONEY:
            return switches.staff_money
        case Closes.NOTHING:
            return None


def _missing(rule: Rule, facts: Facts, *, high_value: bool) -> str:
    if rule.staff and facts.needs_passkey:
        return "Staff need a passkey for this. Set one up first."
    if high_value:
        return "A withdrawal of this value needs an authenticator app. Set one up first."
    return "This needs two-factor log-in. Set up an authenticator app or a passkey first."


def _held(rule: Rule, facts: Facts, now: datetime) -> Decision | None:
    """The later of both ends. What ends at a moment is over at that moment."""
    ends = []
    if rule.held and facts.withdrawals_held_until is not None:
        ends.append(
            (facts.withdrawals_held_until, "WITHDRAWALS_HELD", "Withdrawals are held after a change of your log-in.")
        )
    withdrawal = facts.withdrawal
    if withdrawal is not None and withdrawal.whitelist_on and withdrawal.listed_at is not None:
        ends.append(
            (withdrawal.listed_at + COOL_DOWN, "ADDRESS_NEW", "This address is not on your whitelist for long enough.")
        )
    until, code, message = max(ends, default=(now, "", ""))
    return Decision(Verdict.HELD, code, message, until) if until > now else None


def _unproved(rule: Rule, facts: Facts, proving: frozenset[Factor], now: datetime) -> Decision | None:
    """Without a factor to prove it by, a step-up with the password has to do; _refused has seen whether it may."""
    by_key = facts.channel is Channel.API_KEY
    if rule.proof is Proof.FRESH_CODE and proving:
        # A key with the right to withdraw took a code and has networks: what is not of high value needs no other.
        if facts.fresh_by & proving or (by_key and facts.withdrawal is not None and not facts.withdrawal.is_high_value):
            return None
        return Decision(Verdict.NEEDS_FRESH_CODE, "CODE_NEEDED", "Confirm this with a new code.", factors=proving)
    if by_key:
        return None
    age = None if facts.confirmed_at is None else now - facts.confirmed_at
    recent = age is not None and timedelta(0) <= age < STEP_UP_FOR
    if recent and (not proving or facts.confirmed_by & proving):
        return None
    return Decision(Verdict.NEEDS_STEP_UP, "STEP_UP_NEEDED", "Confirm that it is you.", factors=proving)


def _unreviewed(rule: Rule, facts: Facts) -> Decision | None:
    """Nobody approves what they asked for themselves (threat-T10)."""
    if facts.withdrawal is not None and not facts.withdrawal.is_reviewed:
        return None
    missing = rule.approvals - len(facts.approved_by - {facts.user_id})
    if missing <= 0:
        return None
    return Decision(Verdict.NEEDS_REVIEW, "REVIEW_NEEDED", "Staff look at this before it is done.", approvals=missing)


def _no(code: str, message: str) -> Decision:
    return Decision(Verdict.REFUSED, code, message)
