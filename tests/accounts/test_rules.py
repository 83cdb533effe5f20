"""The decision on sensitive actions, row by row, each at its limits (requirements A3, A4, W3, W10; threat-T8, T10)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.accounts.facts import Channel, Factor, Facts, Withdrawal
from apps.accounts.policy import HIGH_VALUE_TOTAL_UNITS
from apps.accounts.rules import ALLOWED, RULES, Action, Decision, SecondFactor, Verdict, decide
from apps.controls.gates import OPEN_GATES, UNKNOWN_GATES, Closed, Gates

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)
APP, PASSKEY = Factor.AUTHENTICATOR, Factor.PASSKEY
BOTH = frozenset(Factor)
CLOSED = Closed("ANY", "Closed.")

HIGH_FROM, REVIEW_ABOVE = 1_000, 5_000
SMALL = Withdrawal(
    asset_24h_units=HIGH_FROM - 1, total_24h_value_units=HIGH_VALUE_TOTAL_UNITS - 1,
    high_from_units=HIGH_FROM, review_above_units=REVIEW_ABOVE,
)  # fmt: skip
LARGE = replace(SMALL, asset_24h_units=HIGH_FROM)

# Everything that any row asks for, so that a test takes away the one thing that it is about.
ALICE = Facts(
    user_id=7, factors=BOTH, confirmed_at=NOW - SECOND, confirmed_by=BOTH, fresh_by=BOTH, is_staff=True,
    approved_by=frozenset({1, 2}),
)  # fmt: skip
WITHDRAWING = replace(ALICE, withdrawal=SMALL)

STEP_UP = (Action.KEY_TRADE, Action.KEY_READ, Action.CHANGE_EMAIL, Action.CHANGE_PASSWORD, Action.ADD_FACTOR,
           Action.REMOVE_FACTOR, Action.TRANSFER, Action.UNFREEZE, Action.EXPORT_DATA, Action.STAFF_PAGES)  # fmt: skip
FRESH_CODE = (Action.WITHDRAW, Action.WHITELIST_ADD, Action.WHITELIST_OFF, Action.WHITELIST_ON, Action.WHITELIST_REMOVE,
              Action.KEY_WITHDRAW, Action.CLOSE_ACCOUNT, Action.STAFF_MONEY)  # fmt: skip
FACTOR_OR_NOTHING = (Action.WHITELIST_ADD, Action.WHITELIST_OFF, Action.KEY_WITHDRAW, Action.KEY_TRADE,
                     Action.STAFF_PAGES, Action.STAFF_MONEY)  # fmt: skip
BY_KEY = (Action.WITHDRAW, Action.TRANSFER)


def facts(action: Action, **changes: Any) -> Facts:
    base = WITHDRAWING if action is Action.WITHDRAW else ALICE
    return replace(base, **changes)


def decided(action: Action, *, switches: Gates = OPEN_GATES, now: datetime = NOW, **changes: Any) -> Decision:
    return decide(action, facts(action, **changes), switches, now)


def test_the_rows_are_all_actions() -> None:
    assert set(RULES) == set(Action) == {*STEP_UP, *FRESH_CODE}


@pytest.mark.parametrize("action", Action)
def test_with_everything_in_place_it_is_allowed(action: Action) -> None:
    assert decided(action) is ALLOWED
    assert decided(action).is_allowed


@pytest.mark.parametrize("action", STEP_UP)
@pytest.mark.parametrize(
    ("confirmed_ago", "allowed"),
    [
        (timedelta(0), True),
        (timedelta(minutes=14, seconds=59), True),
        (timedelta(minutes=15), False),
        (-SECOND, False),  # the clock was set back: ask again
        (None, False),
    ],
)
def test_a_step_up_is_valid_for_15_minutes(action: Action, confirmed_ago: timedelta | None, allowed: bool) -> None:
    at = None if confirmed_ago is None else NOW - confirmed_ago
    decision = decided(action, confirmed_at=at, fresh_by=frozenset())
    assert decision.verdict is (Verdict.ALLOWED if allowed else Verdict.NEEDS_STEP_UP)
    assert decision.factors == (frozenset() if allowed else BOTH)


@pytest.mark.parametrize("action", STEP_UP)
def test_who_has_a_factor_steps_up_with_it(action: Action) -> None:
    assert decided(action, confirmed_by=frozenset()).verdict is Verdict.NEEDS_STEP_UP
    lost = decided(action, factors=frozenset({APP}), confirmed_by=frozenset({PASSKEY}))
    assert (lost.verdict, lost.factors) == (Verdict.NEEDS_STEP_UP, {APP})


@pytest.mark.parametrize("action", FRESH_CODE)
def test_a_step_up_never_stands_for_a_fresh_code(action: Action) -> None:
    decision = decided(action, fresh_by=frozenset())
    assert (decision.verdict, decision.factors) == (Verdict.NEEDS_FRESH_CODE, BOTH)
    assert decided(action, fresh_by=frozenset({PASSKEY}), confirmed_at=None).is_allowed
    of_another = decided(action, factors=frozenset({APP}), fresh_by=frozenset({PASSKEY}))
    assert of_another.verdict is Verdict.NEEDS_FRESH_CODE


@pytest.mark.parametrize("action", Action)
def test_what_takes_a_factor_is_refused_without_one(action: Action) -> None:
    decision = decided(action, factors=frozenset())
    assert decision.code == ("FACTOR_MISSING" if action in FACTOR_OR_NOTHING else "")
    assert (RULES[action].second_factor is SecondFactor.ALWAYS) == (action in FACTOR_OR_NOTHING)
    if action not in FACTOR_OR_NOTHING:
        by_password = decided(action, factors=frozenset(), confirmed_at=NOW - timedelta(minutes=15))
        assert (by_password.verdict, by_password.factors) == (Verdict.NEEDS_STEP_UP, frozenset())


@pytest.mark.parametrize(
    ("withdrawal", "is_high"),
    [
        (SMALL, False),
        (LARGE, True),
        (replace(SMALL, total_24h_value_units=HIGH_VALUE_TOTAL_UNITS), True),
        (replace(SMALL, total_24h_value_units=None), True),  # no price is known
        (replace(SMALL, high_from_units=None), True),  # nobody has set a threshold for the asset
    ],
)
def test_a_withdrawal_of_high_value_takes_the_authenticators_code(withdrawal: Withdrawal, is_high: bool) -> None:
    passkey_only = decided(Action.WITHDRAW, withdrawal=withdrawal, factors=frozenset({PASSKEY}))
    assert passkey_only.code == ("FACTOR_MISSING" if is_high else "")
    assert decided(Action.WITHDRAW, withdrawal=withdrawal, factors=frozenset()).is_allowed is not is_high
    by_passkey = decided(Action.WITHDRAW, withdrawal=withdrawal, fresh_by=frozenset({PASSKEY}))
    assert by_passkey.verdict is (Verdict.NEEDS_FRESH_CODE if is_high else Verdict.ALLOWED)
    assert by_passkey.factors == (frozenset({APP}) if is_high else frozenset())
    by_key = decided(Action.WITHDRAW, withdrawal=withdrawal, channel=Channel.API_KEY, fresh_by=frozenset())
    assert by_key.verdict is (Verdict.NEEDS_FRESH_CODE if is_high else Verdict.ALLOWED)


@pytest.mark.parametrize(("before_end", "held"), [(DAY, True), (SECOND, True), (timedelta(0), False), (-SECOND, False)])
def test_withdrawals_are_held_for_24_hours(before_end: timedelta, held: bool) -> None:
    """Changed at 12:00:00: held until 23:59:59 later, allowed at 24:00:00."""
    until = NOW + before_end
    decision = decided(Action.WITHDRAW, withdrawals_held_until=until)
    assert decision.verdict is (Verdict.HELD if held else Verdict.ALLOWED)
    assert (decision.code, decision.until) == (("WITHDRAWALS_HELD", until) if held else ("", None))
    for other in set(Action) - {Action.WITHDRAW}:
        assert decided(other, withdrawals_held_until=until).is_allowed


@pytest.mark.parametrize(
    ("listed_ago", "outcome"),
    [
        (None, "NOT_LISTED"),
        (timedelta(0), "ADDRESS_NEW"),
        (DAY - SECOND, "ADDRESS_NEW"),
        (DAY, ""),
    ],
)
def test_with_the_whitelist_on_funds_go_to_addresses_that_are_on_it_for_24_hours(
    listed_ago: timedelta | None, outcome: str
) -> None:
    listed_at = None if listed_ago is None else NOW - listed_ago
    listed = replace(SMALL, listed_at=listed_at, whitelist_on=True)
    decision = decided(Action.WITHDRAW, withdrawal=listed)
    assert decision.code == outcome
    if outcome == "ADDRESS_NEW":
        assert listed_at is not None
        assert (decision.verdict, decision.until) == (Verdict.HELD, listed_at + DAY)
    assert decided(Action.WITHDRAW, withdrawal=replace(listed, whitelist_on=False)).is_allowed


def test_of_two_holds_the_later_one_is_told() -> None:
    listed = replace(SMALL, listed_at=NOW - DAY + 2 * SECOND, whitelist_on=True)
    assert decided(Action.WITHDRAW, withdrawal=listed, withdrawals_held_until=NOW + SECOND).until == NOW + 2 * SECOND
    later = decided(Action.WITHDRAW, withdrawal=listed, withdrawals_held_until=NOW + 3 * SECOND)
    assert (later.until, later.code) == (NOW + 3 * SECOND, "WITHDRAWALS_HELD")


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("switches", "closes"),
    [
        (Gates(withdrawals=CLOSED), {Action.WITHDRAW}),
        (Gates(whitelist=CLOSED), {Action.WHITELIST_ADD, Action.WHITELIST_OFF}),
        (Gates(staff_money=CLOSED), {Action.STAFF_MONEY}),
        (UNKNOWN_GATES, {Action.WITHDRAW, Action.WHITELIST_ADD, Action.WHITELIST_OFF, Action.STAFF_MONEY}),
    ],
)
def test_a_switch_closes_its_own_actions_and_no_others(action: Action, switches: Gates, closes: set[Action]) -> None:
    decision = decided(action, switches=switches)
    if action not in closes:
        assert decision.is_allowed
        return
    assert decision.verdict is Verdict.REFUSED
    assert decision.code == ("SWITCHES_UNKNOWN" if switches is UNKNOWN_GATES else "ANY")
    assert decision.message


@pytest.mark.parametrize("action", Action)
def test_a_key_asks_for_withdrawals_and_transfers_alone(action: Action) -> None:
    decision = decided(action, channel=Channel.API_KEY, confirmed_at=None, fresh_by=frozenset())
    assert decision.code == ("" if action in BY_KEY else "NOT_BY_KEY")


@pytest.mark.parametrize("action", Action)
def test_staff_actions_are_for_staff_and_nothing_is_for_who_is_switched_off(action: Action) -> None:
    assert decided(action, is_staff=False).code == ("NOT_STAFF" if RULES[action].staff else "")
    assert decided(action, is_active=False).code == "ACCOUNT_OFF"


def test_nothing_leaves_a_frozen_account() -> None:
    for action in (Action.WITHDRAW, Action.TRANSFER):
        assert decided(action, frozen=True).code == "ACCOUNT_FROZEN"


def test_staff_in_production_prove_it_with_a_passkey() -> None:
    app = frozenset({APP})
    for action in (Action.STAFF_PAGES, Action.STAFF_MONEY):
        assert decided(action, needs_passkey=True).is_allowed
        assert decided(action, needs_passkey=True, factors=app).code == "FACTOR_MISSING"
        assert "passkey" in decided(action, needs_passkey=True, factors=app).message
        assert decided(action, factors=app, confirmed_by=app, fresh_by=app).is_allowed
    assert decided(Action.STAFF_PAGES, needs_passkey=True, confirmed_by=app).verdict is Verdict.NEEDS_STEP_UP
    assert decided(Action.STAFF_MONEY, needs_passkey=True, fresh_by=app).verdict is Verdict.NEEDS_FRESH_CODE


@pytest.mark.parametrize(
    ("approved_by", "missing"),
    [(frozenset(), 1), (frozenset({7}), 1), (frozenset({1}), 0), (frozenset({1, 7}), 0)],
)
def test_staff_money_takes_another_staff_member(approved_by: frozenset[int], missing: int) -> None:
    decision = decided(Action.STAFF_MONEY, approved_by=approved_by)
    assert decision.approvals == missing
    assert decision.verdict is (Verdict.NEEDS_REVIEW if missing else Verdict.ALLOWED)


@pytest.mark.parametrize(
    ("units", "limit", "approved_by", "missing"),
    [
        (REVIEW_ABOVE, REVIEW_ABOVE, frozenset(), 0),
        (REVIEW_ABOVE + 1, REVIEW_ABOVE, frozenset(), 2),
        (REVIEW_ABOVE + 1, REVIEW_ABOVE, frozenset({1}), 1),
        (REVIEW_ABOVE + 1, REVIEW_ABOVE, frozenset({1, 7}), 1),
        (REVIEW_ABOVE + 1, REVIEW_ABOVE, frozenset({1, 2}), 0),
        (1, None, frozenset(), 2),  # nobody has set a limit for the asset
    ],
)
def test_two_staff_members_look_at_a_withdrawal_above_the_limit(
    units: int, limit: int | None, approved_by: frozenset[int], missing: int
) -> None:
    withdrawal = replace(SMALL, asset_24h_units=units, review_above_units=limit)
    decision = decided(Action.WITHDRAW, withdrawal=withdrawal, approved_by=approved_by)
    assert decision.approvals == missing
    assert decision.verdict is (Verdict.NEEDS_REVIEW if missing else Verdict.ALLOWED)


def test_refused_comes_before_held_before_proof_before_review() -> None:
    huge = replace(SMALL, asset_24h_units=REVIEW_ABOVE + 1)
    asked: dict[str, Any] = {
        "withdrawal": huge, "withdrawals_held_until": NOW + DAY, "fresh_by": frozenset(), "approved_by": frozenset(),
    }  # fmt: skip
    verdicts = []
    for drop in ("switch", "withdrawals_held_until", "fresh_by", "approved_by"):
        closed = Gates(withdrawals=CLOSED) if not verdicts else OPEN_GATES
        verdicts.append(decided(Action.WITHDRAW, switches=closed, **asked).verdict)
        asked.pop(drop, None)
    assert verdicts == [Verdict.REFUSED, Verdict.HELD, Verdict.NEEDS_FRESH_CODE, Verdict.NEEDS_REVIEW]
    assert decided(Action.WITHDRAW, **asked).is_allowed


def test_a_withdrawal_is_told_by_what_it_is() -> None:
    with pytest.raises(AssertionError):
        decide(Action.WITHDRAW, ALICE, OPEN_GATES, NOW)
    with pytest.raises(AssertionError):
        decide(Action.TRANSFER, WITHDRAWING, OPEN_GATES, NOW)
