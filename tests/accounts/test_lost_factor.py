"""Neither app nor recovery codes: two of staff, 72 hours, and an owner who can stop it (requirement A2, threat-T10)."""

import re
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import lostfactorkind
from apps.accounts.errors import FactorMissing, LinkDead, LostFactorCaseOver
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, LockLink, LostFactorCase, OpenSession, RecoveryCode, TotpFactor, User
from apps.accounts.selectors import has_second_factor, main_account, passkeys_of
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.locking import lock_account
from apps.accounts.services.locklinks import new_lock_link
from apps.accounts.services.lostfactor import open_case, stop_by_factor, stop_by_link
from apps.accounts.services.resets import request_reset, reset_password
from apps.audit.models import Record
from apps.controls.errors import AlreadyAsked, ApprovalClosed, ApprovalRefused, ApprovalStale, ApprovalTooEarly
from apps.controls.models import ApprovalRequest
from apps.controls.services import approvals
from apps.controls.services.approvals import approve
from apps.notifications.models import Notice, OutgoingEmail
from apps.outbox.errors import ReasonMissing
from tests.accounts.factors import password_step, with_app
from tests.accounts.mailbox import HERE, link_to, lock_link_to, newest, submit, token_of
from tests.accounts.passkeys import browser, with_passkey
from tests.accounts.passkeys import log_in as by_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code
from tests.matching.waiting import until

pytestmark = pytest.mark.django_db

STOP = re.compile(r"/account/stop-lost-factor/[\w-]{43}")
OTHER = "another horse battery"
SOMEBODY_WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def link_for(user: User, client: Client) -> str:
    """The path of the page that asks staff, in a browser that has proved the password."""
    submit(client, "/account/log-in", username=user.email, password=PASSWORD)
    submit(client, "/account/log-in/lost", page="/account/log-in/code")
    return link_to(user.email).replace("/recover/", "/lost-factor/")


def asked(user: User) -> ApprovalRequest:
    client = Client(enforce_csrf_checks=True)
    page = submit(client, link_for(user, client), reason="phone at the bottom of the lake")
    assert page.status_code == 200, page.content
    return ApprovalRequest.objects.latest("pk")


def stop_link(user: User) -> str:
    found = set(STOP.findall(newest(user.email, "lost_factor_asked").text))
    assert len(found) == 1
    return str(found.pop())


def staff(name: str, *, may: bool = True) -> User:
    made = User.objects.create_user(f"{name}@staff.example", PASSWORD, is_staff=True)
    if may:
        made.user_permissions.add(Permission.objects.get(codename="approve_reopening_user"))
    return made


def after(monkeypatch: pytest.MonkeyPatch, request: ApprovalRequest, **more: float) -> None:
    moment = request.made_at + timedelta(**more)
    monkeypatch.setattr(approvals, "timezone", type("T", (), {"now": staticmethod(lambda: moment)}))


def untouched(user: User) -> bool:
    return has_second_factor(user_id=user.pk) and RecoveryCode.objects.filter(user=user).count() == 10


def test_two_of_staff_after_72_hours(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with_app(alice)
    with_passkey(alice)
    account = main_account(user_id=alice.pk)
    for label, trades in (("reads", False), ("trades", True)):
        issue_hmac_key(account_id=account.pk, terms=KeyTerms(label=label, can_read=True, can_trade=trades))
    request = asked(alice)
    first, second, third = staff("first"), staff("second"), staff("third", may=False)
    with pytest.raises(ApprovalRefused):
        approve(request_id=request.pk, by=third, reason="seen the passport")
    with pytest.raises(ApprovalRefused):
        approve(request_id=request.pk, by=alice, reason="it is me")
    approve(request_id=request.pk, by=first, reason="seen the passport")
    with pytest.raises(ApprovalRefused, match="already"):
        approve(request_id=request.pk, by=first, reason="once more")
    after(monkeypatch, request, hours=71, minutes=59, seconds=59)
    with pytest.raises(ApprovalTooEarly):
        approve(request_id=request.pk, by=second, reason="called back")
    assert untouched(alice)
    after(monkeypatch, request, hours=72)
    approve(request_id=request.pk, by=second, reason="called back")
    alice.refresh_from_db()
    assert not has_second_factor(user_id=alice.pk)
    assert not passkeys_of(user_id=alice.pk).exists()
    assert not RecoveryCode.objects.filter(user=alice).exists()
    assert not OpenSession.objects.filter(user=alice).exists()
    keys = [(key.label, key.is_revoked) for key in ApiKey.objects.order_by("pk")]
    assert keys == [("reads", False), ("trades", True)]
    assert alice.withdrawals_held_until is not None
    assert alice.withdrawals_held_until > timezone.now() + timedelta(hours=23)
    told = Record.objects.get(action="user.factor-removed")
    assert told.after is not None
    for who in (str(alice.pk), first.email, second.email):
        assert who in told.after
    assert "lost it" in newest(alice.email, "factor_changed").text
    # Nothing can be removed from the audit log: what the user typed is in the request alone.
    assert Record.objects.get(action="approval.asked").reason == "Asked by the user."
    assert not any("lake" in str(row) for row in Record.objects.values())
    # The password alone logs in, and nothing can be stopped any more.
    client = Client()
    assert password_step(client, alice)["Location"] == "/account/"
    with pytest.raises(LinkDead):
        stop_by_link(token=token_of(stop_link(alice)))


@pytest.mark.django_db(transaction=True)
def test_the_last_approval_and_another_request_do_not_wait_for_each_other(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_app(alice)
    request, again = asked(alice), Client(enforce_csrf_checks=True)
    first, second, token = staff("first"), staff("second"), token_of(link_for(alice, again))
    approve(request_id=request.pk, by=first, reason="seen the passport")
    asking: list[Future[None]] = []
    use_up_all_of = lostfactorkind.use_up_all_of

    def ask_again() -> None:
        try:
            open_case(user=alice, token=token, reason="still lost")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, psycopg.connect(settings.DATABASE_DSN, autocommit=True) as watching:

        def while_somebody_asks_again(user_id: int) -> None:
            asking.append(pool.submit(ask_again))
            until(lambda: watching.execute(SOMEBODY_WAITS).fetchone() is not None)
            use_up_all_of(user_id)

        monkeypatch.setattr(lostfactorkind, "use_up_all_of", while_somebody_asks_again)
        after(monkeypatch, request, hours=72)
        assert approve(request_id=request.pk, by=second, reason="called back").state == "done"
        with pytest.raises(LinkDead):
            asking[0].result(timeout=60)
    assert not has_second_factor(user_id=alice.pk)


def test_everybody_who_may_be_the_owner_hears_of_it(alice: User) -> None:
    with_app(alice)
    # Somebody has just changed the address: e-mail about it went to the one before.
    new_lock_link(alice, address="before@example.org")
    new_lock_link(alice, address="long-ago@example.org")
    LockLink.objects.filter(address="long-ago@example.org").update(expires_at=timezone.now())
    User.objects.filter(pk=alice.pk).update(mail_phrase="purple elephants")
    asked(alice)
    sent = OutgoingEmail.objects.filter(template="lost_factor_asked")
    assert sorted(sent.values_list("to", flat=True)) == [alice.email, "before@example.org"]
    assert stop_link(alice) in newest("before@example.org").text
    assert "purple elephants" in newest(alice.email, "lost_factor_asked").text
    assert "purple elephants" not in newest("before@example.org").text
    assert "lake" not in newest(alice.email, "lost_factor_asked").text
    notice = Notice.objects.get(user=alice, title="Somebody asks us to remove your second factor")
    assert notice.link == "/account/confirm-it-is-you"


def test_it_is_stopped_by_the_link(alice: User) -> None:
    with_app(alice)
    request = asked(alice)
    link = stop_link(alice)
    anybody = Client(enforce_csrf_checks=True)
    assert alice.email in anybody.get(link).content.decode()
    request.refresh_from_db()
    assert request.state == "open"
    assert submit(anybody, link).status_code == 200
    request.refresh_from_db()
    assert (request.state, untouched(alice)) == ("withdrawn", True)
    assert OutgoingEmail.objects.filter(template="lost_factor_stopped", to=alice.email).count() == 1
    for answer in (anybody.get(link), submit(anybody, link, page="/account/log-in")):
        assert answer.status_code == 410
    with pytest.raises(ApprovalClosed):
        approve(request_id=request.pk, by=staff("first"), reason="fine")
    # They may ask once more.
    assert asked(alice).pk != request.pk


def test_it_is_stopped_by_the_factor(alice: User) -> None:
    secret, _ = with_app(alice)
    request = asked(alice)
    client = Client()
    password_step(client, alice)
    request.refresh_from_db()
    assert request.state == "open"
    assert client.post("/account/log-in/code", {"code": fresh_code(secret)}).status_code == 302
    request.refresh_from_db()
    assert request.state == "withdrawn"
    assert not stop_by_factor(user=alice)
    passkey = with_passkey(alice)
    third = asked(alice)
    assert by_passkey(browser(), passkey).status_code == 302
    third.refresh_from_db()
    assert third.state == "withdrawn"
    again = asked(alice)
    assert client.post("/account/confirm-it-is-you", {"code": fresh_code(secret)}).status_code == 302
    again.refresh_from_db()
    assert again.state == "withdrawn"


def test_a_case_that_is_too_old_is_not_stopped_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with_app(alice)
    request = asked(alice)
    after(monkeypatch, request, days=11)
    assert not stop_by_factor(user=alice)
    with pytest.raises(ApprovalClosed):
        approve(request_id=request.pk, by=staff("first"), reason="fine")
    assert untouched(alice)


@pytest.mark.parametrize("how", ["reset", "lock", "factor"])
def test_what_ends_a_case_by_itself(alice: User, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    with_app(alice)
    request = asked(alice)
    first, second = staff("first"), staff("second")
    approve(request_id=request.pk, by=first, reason="fine")
    if how == "reset":
        request_reset(email=alice.email, client=HERE)
        reset_password(token=token_of(link_to(alice.email)), new_password=OTHER)
    elif how == "lock":
        lock_account(token=token_of(lock_link_to(alice.email, "lost_factor_asked")))
    else:
        TotpFactor.objects.filter(user=alice).update(confirmed_at=timezone.now() - timedelta(days=1))
    after(monkeypatch, request, hours=72)
    with pytest.raises((LostFactorCaseOver, ApprovalStale)):
        approve(request_id=request.pk, by=second, reason="fine")
    assert untouched(alice)
    request.refresh_from_db()
    assert request.state == "open"


def test_refused_requests_open_nothing(alice: User, make_user: Any) -> None:
    with_app(alice)
    client = Client(enforce_csrf_checks=True)
    page = link_for(alice, client)
    for reason in ("", "   ", "x" * 201):
        refused = submit(client, page, reason=reason)
        assert (refused.status_code, refused.context["form"].errors.keys()) == (422, {"reason"})
    stranger = Client(enforce_csrf_checks=True)
    assert submit(stranger, page, page="/account/log-in", reason="mine")["Location"] == "/account/log-in"
    assert stranger.get("/account/lost-factor/unknown").status_code == 410
    assert stranger.get("/account/stop-lost-factor/unknown").status_code == 410
    token = token_of(page)
    with pytest.raises(LinkDead):
        open_case(user=make_user("bob@example.org"), token=token, reason="mine")
    with pytest.raises(ReasonMissing):
        open_case(user=alice, token=token, reason=" ")
    assert not LostFactorCase.objects.exists()
    # The link was not used up by any of these.
    assert submit(client, page, reason="lost").status_code == 200
    assert client.get(page).status_code == 410
    again = Client(enforce_csrf_checks=True)
    second = submit(again, link_for(alice, again), reason="lost")
    assert second.status_code == 422
    assert "open" in str(second.context["form"].errors["__all__"])
    with pytest.raises(AlreadyAsked):
        open_case(user=alice, token=token_of(link_to(alice.email)), reason="lost")
    assert LostFactorCase.objects.count() == 1


def test_without_a_factor_there_is_nothing_to_ask(alice: User) -> None:
    with_app(alice)
    client = Client(enforce_csrf_checks=True)
    page = link_for(alice, client)
    User.objects.filter(pk=alice.pk).update(email="moved@example.org")
    with pytest.raises(LinkDead):
        open_case(user=alice, token=token_of(page), reason="lost")
    User.objects.filter(pk=alice.pk).update(email=alice.email)
    remove_totp(user_id=alice.pk)
    with pytest.raises(FactorMissing):
        open_case(user=alice, token=token_of(page), reason="lost")
    assert submit(client, page, reason="lost")["Location"] == "/account/log-in"
    assert not ApprovalRequest.objects.exists()
