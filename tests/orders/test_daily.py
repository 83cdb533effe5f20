"""Work of once a day: when it is due, that it is done once, and what puts it off or makes the process unwell."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import Device, LogIn, MailedLink, OpenSession, PasswordAttempt, TradingTicket, User
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.tickets import issue_ticket
from apps.markets.models import Asset, Candle, Market
from apps.notifications.models import Notice, OutgoingEmail
from apps.orders.daily import DailyWork, jobs
from apps.orders.errors import SettlementBehind, UnknownVolumeAsset
from apps.orders.fee_tiers import today
from apps.orders.models import FeeTierChange
from apps.outbox.models import OutboxRow
from apps.streams.bus.errors import BusAway
from apps.streams.bus.memory import MemoryBus
from nebannpet import roles
from tests.markets.test_forgetting import candles
from tests.orders.live import SHARD
from tests.orders.test_fee_tiers import at, listed, trade

__all__ = ["listed"]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Job:
    """Counts its runs; raises what stands in `errors` first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.days: list[date] = []

    def __call__(self, day: date) -> dict[str, object]:
        self.days.append(day)
        if self.errors:
            raise self.errors.pop(0)
        return {}


def daily(**given: Any) -> DailyWork:
    return DailyWork(jobs=given, stop=threading.Event())


def test_each_job_is_done_once_a_day_from_its_time_on() -> None:
    job, midnight = Job(), NOON.replace(hour=0)
    work = daily(job=job)
    work.look(midnight)
    work.look(midnight + timedelta(minutes=10, microseconds=-1))
    assert job.days == []
    for minutes in (10, 11, 12 * 60, 24 * 60, 24 * 60 + 9):
        work.look(midnight + timedelta(minutes=minutes))
    assert job.days == [NOON.date()]
    work.look(NOON + DAY)
    assert job.days == [NOON.date(), (NOON + DAY).date()]
    assert work.check().details["daily"] == {"job": "2026-11-22"}


@pytest.mark.parametrize("error", [SettlementBehind("not yet"), BusAway("gone"), psycopg.OperationalError("gone")])
def test_what_is_not_ready_is_tried_again_and_holds_up_nothing_else(error: Exception) -> None:
    first, second = Job(error), Job()
    work = daily(first=first, second=second)
    work.look(NOON)
    assert (len(first.days), len(second.days)) == (1, 1)
    assert work.check().ok
    work.look(NOON)
    work.look(NOON)
    assert (len(first.days), len(second.days)) == (2, 1)


def test_a_refusal_ends_the_day() -> None:
    job = Job(UnknownVolumeAsset("not listed"))
    work = daily(job=job)
    work.look(NOON)
    work.look(NOON)
    assert len(job.days) == 1
    assert work.check().ok


def test_an_error_that_nobody_expected_makes_the_process_unwell_until_it_is_gone() -> None:
    job = Job(ZeroDivisionError("a bug"))
    work = daily(job=job)
    work.look(NOON)
    health = work.check()
    assert not health.ok
    assert health.details["job"] == "a bug"
    work.look(NOON)
    assert work.check().ok


def ticket(user: User, *, expires: timedelta) -> str:
    """A session with a trading ticket, ending then; its key."""
    session = SessionStore()
    session["x"] = 1
    session.create()
    key = session.session_key
    assert key is not None
    issue_ticket(user_id=user.pk, session_key=key)
    Session.objects.filter(pk=key).update(expire_date=timezone.now() + expires)
    return key


def old_devices(user: User, ended: str, live: str) -> None:
    """One that goes although a session names it, one that stays; and log-ins. A session that goes takes its row."""
    now, year, half = timezone.now(), timedelta(days=365, seconds=1), timedelta(days=180, seconds=1)
    for name, seen_at, session in (("old", now - year, live), ("known", now - DAY, ended)):
        device = Device.objects.create(user=user, token_hash=name.encode(), browser=name, address="", seen_at=seen_at)
        OpenSession.objects.create(user=user, session_id=session, device=device, browser=name, address="")
    for name, tried_at in (("old", now - half), ("new", now - DAY)):
        LogIn.objects.create(user=user, at=tried_at, succeeded=True, browser=name, address="")


def old_rows(user: User) -> None:
    """Links, attempts and e-mails, of each such that stay and such that go."""
    now, week, quarter = timezone.now(), timedelta(days=7, seconds=1), timedelta(days=90, seconds=1)
    for address, made, ends in (("old", -week, -DAY), ("ended", -DAY, -DAY / 2), ("live", -DAY / 2, DAY / 2)):
        MailedLink.objects.create(
            purpose="sign-up", address=address, password="argon2$x", token_hash=address.encode(),
            created_at=now + made, expires_at=now + ends,
        )  # fmt: skip
    for number, age in ((1, DAY * 1.01), (2, DAY * 0.9)):
        PasswordAttempt.objects.create(subject_hash=b"x", network=f"203.0.113.{number}", at=now - age)
    first = None
    for subject, ended_at in (("old", now - quarter), ("again", now - DAY), ("waits", None)):
        first = OutgoingEmail.objects.create(
            to=user.email, topic="service", template="test_message", subject=subject, message_id=subject,
            state="sent" if ended_at else "queued", created_at=now - 2 * quarter, ended_at=ended_at,
            content=None if ended_at else b"x", again_of=first if subject == "again" else None,
        )  # fmt: skip
    for title, age in (("old", 366 * DAY), ("kept", 364 * DAY)):
        Notice.objects.create(user=user, topic="service", title=title, created_at=now - age)


@pytest.fixture
def as_the_process(transactional_db: None, settings: Any) -> Iterator[None]:
    """With the rights of role `daily` alone, which the jobs take by themselves."""
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as owner:
        roles.apply(owner)
    settings.DATABASE_ROLE = "nebannpet_reconcile"
    yield
    connection.close()


def test_the_real_jobs_with_the_rights_they_have(as_the_process: None, listed: None) -> None:
    user = User.objects.create_user("alice@example.org")
    old, new = ticket(user, expires=timedelta(seconds=-1)), ticket(user, expires=DAY)
    trade(1, 1_000_000 * 10**8, at(today(), -1))
    assert settings.DATABASE_ROLE
    old_rows(user)
    old_devices(user, ended=old, live=new)
    candles(Market.objects.get(symbol="BTCUSDT"), "1s", d200=2, d100=1, d1=3)
    terms = KeyTerms(label="bot", can_read=True, expires_at=timezone.now() + 2 * DAY)
    expiring = issue_hmac_key(account_id=user.trading_accounts.get().pk, terms=terms).key
    bus = MemoryBus(SHARD)
    for _ in range(2):  # once more is without effect
        work = daily(**{name.replace(" ", "_"): job for name, job in jobs(lambda: bus).items()})
        work.look(datetime.now(UTC).replace(hour=12))
        assert work.check().ok, work.check().details
        assert len(work.check().details["daily"]) == 8  # type: ignore[arg-type]
    assert list(Session.objects.values_list("pk", flat=True)) == [new] != [old]
    assert [each.revoked_at is None for each in TradingTicket.objects.order_by("id")] == [False, True]
    assert sorted(MailedLink.objects.values_list("address", "password")) == [("ended", ""), ("live", "argon2$x")]
    assert PasswordAttempt.objects.get().network == "203.0.113.2"
    assert list(Device.objects.values_list("browser", flat=True)) == ["known"]
    assert list(OpenSession.objects.values_list("browser", "device")) == [("old", None)]
    assert list(LogIn.objects.values_list("browser", flat=True)) == ["new"]
    emails = sorted(OutgoingEmail.objects.values_list("subject", "again_of"))
    assert emails == [("An API key of yours expires soon", None), ("again", None), ("waits", None)]
    assert sorted(Notice.objects.values_list("title", flat=True)) == ["An API key expires soon", "kept"]
    assert sorted(Candle.objects.values_list("close_ticks", flat=True)) == [1, 3]
    expiring.refresh_from_db()
    assert expiring.expiry_told_days == 3
    assert sorted(FeeTierChange.objects.values_list("tier", flat=True)) == [1, 1]
    assert OutboxRow.objects.filter(key__startswith="fee-tier:").count() == 2


def test_without_the_asset_that_volumes_are_counted_in_nothing_is_sent(transactional_db: None) -> None:
    assert not Asset.objects.exists()
    work = daily(fee_tiers=jobs(lambda: MemoryBus(SHARD))["fee tiers"])
    work.look(NOON)
    assert work.check().ok
    assert not OutboxRow.objects.exists()
