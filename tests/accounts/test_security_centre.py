"""The security centre: the score by its table, the page that shows it, and what the page costs (requirement A8)."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import Device, LogIn, RecoveryCode, User
from apps.accounts.policy import LOG_INS_IN_CENTRE, SCORE_STRONG, UNUSED_DEVICE_S
from apps.accounts.securityscore import ITEMS, Level, SecurityFacts, score
from apps.accounts.securityselectors import security_of
from apps.accounts.selectors import main_account
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from tests.accounts.factors import with_app

PAGE = "/account/security"
BEST = SecurityFacts(
    email_proved=True, has_factor=True, has_passkey=True, recovery_codes_left=3, has_phrase=True, keys=2, open_keys=0,
    devices=1, unused_devices=0,
)  # fmt: skip
# What spoils it, and the item that says so.
FAULTS = {
    "Second factor": {"has_factor": False},  # and the recovery codes that come with it
    "Passkey": {"has_passkey": False},
    "Proved e-mail address": {"email_proved": False},
    "Recovery codes": {"recovery_codes_left": 2},
    "Phrase in e-mail": {"has_phrase": False},
    "API keys limited to addresses": {"open_keys": 1},
    "No forgotten browsers": {"unused_devices": 1},
}


def test_the_points_are_a_hundred_and_every_step_is_a_page() -> None:
    assert sum(item.points for item in ITEMS) == 100
    assert {item.name for item in ITEMS} == FAULTS.keys()
    assert all(reverse(item.route).startswith("/account/") and item.why and item.step for item in ITEMS)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_costs_its_points(name: str) -> None:
    points = {item.name: item.points for item in ITEMS}
    lost = points[name] + (points["Recovery codes"] if name == "Second factor" else 0)
    spoilt = score(replace(BEST, **FAULTS[name]))  # type: ignore[arg-type]
    assert (spoilt.percent, [item.name for item in spoilt.missing]) == (100 - lost, [name])
    assert score(BEST).percent == 100


def test_levels_at_their_limits() -> None:
    none = replace(BEST, has_factor=False, has_passkey=False)
    without_factor = score(replace(none, recovery_codes_left=0))
    assert without_factor.percent < SCORE_STRONG
    assert without_factor.level is Level.WEAK
    assert [item.name for item in without_factor.missing] == ["Second factor", "Passkey"]
    assert score(replace(BEST, has_passkey=False)).level is Level.STRONG
    assert score(replace(BEST, recovery_codes_left=0)).level is Level.STRONG
    assert score(replace(BEST, recovery_codes_left=0, has_phrase=False)).level is Level.FAIR
    assert score(replace(BEST, recovery_codes_left=0, has_phrase=False, email_proved=False)).percent == 60
    assert score(none).percent == 45


def test_points_are_at_most_a_hundred_and_100_percent_means_that_nothing_is_left() -> None:
    """Of every combination of the facts that decide an item; recovery codes are offered where there is a factor."""
    for bits in product((False, True), repeat=len(FAULTS)):
        changes = [fault for fault, wrong in zip(FAULTS.values(), bits, strict=True) if wrong]
        facts = replace(BEST, **{name: value for fault in changes for name, value in fault.items()})  # type: ignore[arg-type]
        found = score(facts)
        assert found.percent == sum(item.points for item in found.done) <= 100
        assert (found.percent == 100) == (not found.missing)
        offered = {item.name for item in found.missing}
        assert ("Recovery codes" in offered) == (facts.has_factor and facts.recovery_codes_left < 3)
        hidden = {item.name for item in ITEMS} - offered - {item.name for item in found.done}
        assert hidden == (set() if facts.has_factor else {"Recovery codes"})


@pytest.mark.django_db
def test_what_is_stored_makes_the_facts(alice: User) -> None:
    now = timezone.now()
    bob = User.objects.create_user("bob@example.org", "correct horse battery")
    for user in (alice, bob):
        sub = create_sub_account(user_id=user.pk, label="desk")
        issue_hmac_key(account_id=sub.pk, terms=KeyTerms(label="open", can_read=True, can_trade=True))
    main = main_account(user_id=alice.pk).pk
    issue_hmac_key(account_id=main, terms=KeyTerms(label="reads", can_read=True, can_trade=False))
    issue_hmac_key(
        account_id=main, terms=KeyTerms(label="at home", can_read=True, can_trade=True, networks=["203.0.113.7"])
    )
    old = now - timedelta(seconds=UNUSED_DEVICE_S)
    for seen_at, token in ((old, b"a"), (old - timedelta(seconds=1), b"b")):
        Device.objects.create(user=alice, token_hash=token * 32, browser="Firefox", address="", seen_at=seen_at)
    with_app(alice)
    RecoveryCode.objects.filter(pk__in=RecoveryCode.objects.values("pk")[:8]).update(used_at=now)
    expected = SecurityFacts(
        email_proved=True, has_factor=True, has_passkey=False, recovery_codes_left=2, has_phrase=False, keys=3,
        open_keys=1, devices=2, unused_devices=1,
    )  # fmt: skip
    assert security_of(user=alice, now=now).facts == expected


@pytest.mark.django_db
def test_the_page_shows_it_at_a_cost_that_does_not_grow(alice: User, alice_client: Client) -> None:
    alice_client.get(PAGE)  # a session that was opened by other means than a log-in is written once
    with CaptureQueriesContext(connection) as before:
        page = alice_client.get(PAGE).content.decode()
    assert '<b class="num">35</b>' in page
    assert "Set one up" in page
    assert "Make new codes" not in page
    assert "No log-in is recorded yet." in page
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_login (user_id, at, succeeded, browser, address, factors, new_device)"
            " SELECT %s, now(), TRUE, 'Firefox on Linux', '', '', FALSE FROM generate_series(1, 1000)",
            [alice.pk],
        )
    for number in range(5):
        Device.objects.create(user=alice, token_hash=bytes([number]) * 32, browser="Firefox", address="")
        issue_hmac_key(
            account_id=main_account(user_id=alice.pk).pk, terms=KeyTerms(label="b", can_read=True, can_trade=True)
        )
    with CaptureQueriesContext(connection) as after:
        page = alice_client.get(PAGE).content.decode()
    assert len(after) == len(before)
    assert LogIn.objects.count() == 1000
    assert page.count(">logged in<") == LOG_INS_IN_CENTRE
    assert '<b class="num">25</b>' in page
    with_app(alice)
    User.objects.update(mail_phrase="green tea")
    assert "Look at your keys" in alice_client.get(PAGE).content.decode()
    overview = alice_client.get("/account/").content.decode()
    assert '<b class="num">80</b>' in overview
    assert f'href="{PAGE}"' in overview
