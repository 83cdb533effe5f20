"""The in-app centre: rows in the caller's transaction, ways by preference, pages whose cost does not grow."""

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.notifications import shownbanners
from apps.notifications.errors import InvalidNotice, NoticeNotFound, TopicNotOptional
from apps.notifications.models import Notice, NoticePreference, OutgoingEmail, Topic
from apps.notifications.policy import NOTICES_PER_PAGE
from apps.notifications.rules import EVERY_WAY, MANDATORY, OPTIONAL, Ways, ways_of
from apps.notifications.selectors import count_unread, notices_of
from apps.notifications.services import mark_all_read, mark_read, notify, send_email, set_preferences
from tests.accounts.mailbox import newest, submit
from tests.accounts.people import PASSWORD
from tests.architecture.sources import BASE_DIR

pytestmark = pytest.mark.django_db
PAGE = "/account/notices"
PREFERENCES = "/account/notices/preferences"


@pytest.fixture(autouse=True)
def banners_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the site process; elsewhere each page would cost one query more."""
    monkeypatch.setattr(shownbanners._Kept, "banners", ())


@pytest.fixture
def alice(nudges: list[int]) -> User:
    return User.objects.create_user("alice@example.org", PASSWORD)


@pytest.fixture
def bob(nudges: list[int]) -> User:
    return User.objects.create_user("bob@example.org", PASSWORD)


@pytest.fixture
def page(alice: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    client.get("/")
    return client


def _told(user: User, title: str = "Maintenance on Sunday", topic: Topic = Topic.SERVICE, **more: str) -> Notice:
    made = notify(user_id=user.pk, topic=topic, title=title, **more)
    assert made is not None
    return made


def _fill(user: User, count: int) -> None:
    Notice.objects.bulk_create(
        Notice(user_id=user.pk, topic=Topic.SERVICE, title=f"number {number}") for number in range(count)
    )


def test_a_notice_and_its_e_mail_are_there_exactly_if_the_caller_s_transaction_is(alice: User) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _told(alice)
        raise ZeroDivisionError
    assert not Notice.objects.exists()
    assert not OutgoingEmail.objects.exists()
    _told(alice, body="From 02:00 UTC.\n\nTrading goes on.", link="/markets")
    notice = Notice.objects.get()
    assert (notice.user_id, notice.topic, notice.title, notice.read_at) == (
        alice.pk, "service", "Maintenance on Sunday", None,
    )  # fmt: skip
    email = OutgoingEmail.objects.get()
    assert (email.to, email.subject, email.user_id, email.topic) == (
        alice.email, notice.title, alice.pk, "service",
    )  # fmt: skip
    content = newest(alice.email)
    assert "From 02:00 UTC." in content.text
    assert "http://localhost:8000/markets" in content.text
    assert 'href="http://localhost:8000/markets"' in content.html


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": "  "}, "title has 1 to"),
        ({"title": "x" * 121}, "title has 1 to"),
        ({"title": "two\nlines"}, "cannot be shown"),
        ({"body": "x" * 1001}, "body has at most"),
        ({"body": "nul\x00"}, "cannot be shown"),
        ({"link": "https://elsewhere.example/"}, "path of this site"),
        ({"link": "//elsewhere.example/"}, "path of this site"),
        ({"link": "/\\elsewhere.example/"}, "path of this site"),
        ({"link": "javascript:alert(1)"}, "path of this site"),
        ({"link": "/a b"}, "path of this site"),
        ({"link": "/" + "x" * 200}, "at most"),
    ],
)
def test_what_cannot_be_shown_is_refused(alice: User, fields: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidNotice, match=words):
        notify(**{"user_id": alice.pk, "topic": Topic.SERVICE, "title": "a", **fields})  # type: ignore[arg-type]
    assert not Notice.objects.exists()
    assert not OutgoingEmail.objects.exists()


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize("chosen", [None, Ways(True, False), Ways(False, True), Ways(False, False)])
def test_the_ways_of_a_topic(alice: User, topic: Topic, chosen: Ways | None) -> None:
    expected = EVERY_WAY if topic in MANDATORY or chosen is None else chosen
    assert ways_of(topic, chosen) == expected
    if chosen is not None:
        NoticePreference.objects.create(user=alice, topic=topic, in_app=chosen.in_app, email=chosen.email)
    made = notify(user_id=alice.pk, topic=topic, title="a")
    assert (made is not None, OutgoingEmail.objects.count()) == (expected.in_app, int(expected.email))


def test_security_and_incidents_cannot_be_turned_off(alice: User) -> None:
    assert {Topic.SECURITY, Topic.INCIDENT} == MANDATORY
    for topic in MANDATORY:
        with pytest.raises(TopicNotOptional, match="cannot be turned off"):
            set_preferences(user_id=alice.pk, chosen={Topic.SERVICE: Ways(False, False), topic: Ways(True, False)})
    assert not NoticePreference.objects.exists(), "all of them or none"


def test_the_page_of_preferences(page: Client, alice: User) -> None:
    shown = page.get(PREFERENCES).content.decode()
    assert shown.count("disabled") == 2 * len(MANDATORY)
    assert submit(page, PREFERENCES, topics="service", in_app="service").status_code == 302
    assert NoticePreference.objects.values_list("user", "topic", "in_app", "email").get() == (
        alice.pk, "service", True, False,
    )  # fmt: skip
    assert submit(page, PREFERENCES, topics="service").status_code == 302
    assert NoticePreference.objects.values_list("in_app", "email").get() == (False, False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"topics": "security"}, "Notices about security cannot be turned off."),
        ({"topics": "incident", "in_app": "incident"}, "Notices about incidents cannot be turned off."),
        ({"topics": "weather"}, "weather is not one of the available choices"),
        ({"topics": "service", "email": "security"}, "topic that the form does not have"),
        ({}, "This field is required"),
    ],
)
def test_a_forged_choice_is_refused(page: Client, fields: dict[str, str], words: str) -> None:
    answer = submit(page, PREFERENCES, **fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not NoticePreference.objects.exists()


def test_a_mail_about_security_stands_in_the_centre_too(alice: User) -> None:
    context = {"phrase": "purple elephants", "link": "https://x/secret-token"}
    send_email(
        to=alice.email, template="password_changed", context=context, topic=Topic.SECURITY, user_id=alice.pk
    )  # fmt: skip
    notice = Notice.objects.get()
    assert (notice.user_id, notice.topic, notice.link) == (alice.pk, "security", "/account/password")
    assert notice.title == "Your password was changed"
    assert notice.body.startswith("Other sessions were logged out.")
    assert "elephants" not in notice.body


def test_what_answers_whoever_typed_an_address_does_not(alice: User) -> None:
    """Its link lets one in, and a row more would tell that there is an account (threat-T4)."""
    for template in ("reset", "sign_up_known", "email_change", "email_change_known"):
        context = {"phrase": "", "link": "https://x/secret-token"}
        send_email(to=alice.email, template=template, context=context, topic=Topic.SECURITY, user_id=alice.pk)
    send_email(to="x@example.org", template="password_changed", context={}, topic=Topic.SECURITY)
    assert not Notice.objects.exists()


# They answer whoever typed an address, or are no news about an account.
MAIL_ONLY = {
    "email_change", "email_change_known", "let_me_in", "let_me_in_unknown", "recover", "reset", "reset_locked",
    "reset_unknown", "sign_up", "sign_up_known", "notice", "test_message", "base",
}  # fmt: skip


def test_every_mail_about_an_account_has_its_text_in_the_centre() -> None:
    folder = BASE_DIR / "templates" / "notifications"
    mails, texts = ({path.stem for path in (folder / name).glob("*.txt")} for name in ("email", "in_app"))
    assert mails - texts == MAIL_ONLY
    assert texts <= mails


def test_what_others_call_themselves_is_shown_as_text(alice: User) -> None:
    browser = "<b>&\x00\u202e" + "x" * 2_000
    send_email(
        to=alice.email, template="new_device", topic=Topic.SECURITY, user_id=alice.pk,
        context={"browser": browser, "address": "203.0.113.7", "at": timezone.now()},
    )  # fmt: skip
    notice = Notice.objects.get()
    assert notice.body.startswith("<b>&  xxx")
    assert notice.link == "/account/devices"


def test_reading_one_and_all(page: Client, alice: User, bob: User) -> None:
    first, second, other = _told(alice), _told(alice), _told(bob)
    shown = page.get(PAGE).content.decode()
    assert shown.count(">new<") == 2
    assert "<span>2</span>" in shown, "the page head has the number"
    for _ in range(2):
        assert submit(page, f"{PAGE}/{first.pk}/read").status_code == 302
    assert count_unread(user_id=alice.pk) == 1
    late = _told(alice)
    assert submit(page, f"{PAGE}/read", newest=str(second.pk)).status_code == 302
    assert list(Notice.objects.filter(read_at=None).order_by("pk").values_list("pk", flat=True)) == [other.pk, late.pk]
    mark_all_read(user_id=alice.pk, newest_id=late.pk)
    assert "not read" in (shown := page.get(PAGE).content.decode())
    assert 'id="unread-notices" hidden' in shown


def test_nobody_reads_or_marks_another_user_s(page: Client, bob: User, alice: User) -> None:
    other = _told(bob, title="for bob alone")
    assert "for bob alone" not in page.get(PAGE).content.decode()
    assert submit(page, f"{PAGE}/{other.pk}/read", PAGE).status_code == 404
    assert submit(page, f"{PAGE}/{2**70}/read", PAGE).status_code == 404
    with pytest.raises(NoticeNotFound):
        mark_read(user_id=alice.pk, notice_id=other.pk)
    submit(page, f"{PAGE}/read", PAGE, newest=str(other.pk))
    other.refresh_from_db()
    assert other.read_at is None


def test_bad_cursors_and_numbers_are_refused(page: Client, alice: User) -> None:
    notice = _told(alice)
    for text in ("x", "-1", "1.5", "9" * 19, "9" * 5_000, "\u0661"):
        assert page.get(PAGE, {"before": text}).status_code == 400
        assert submit(page, f"{PAGE}/{notice.pk}/read", PAGE, before=text).status_code == 400
    for text in ("", "x", "0", str(2**63)):
        assert submit(page, f"{PAGE}/read", PAGE, newest=text).status_code == 400
    assert page.get(f"{PAGE}/read").status_code == 405
    assert page.post(f"{PAGE}/read", {"newest": "1"}).status_code == 403
    notice.refresh_from_db()
    assert notice.read_at is None


def test_nobody_gets_in_without_a_log_in(alice: User) -> None:
    for path in (PAGE, PREFERENCES):
        assert Client().get(path).status_code == 302


def test_texts_stay_texts(page: Client, alice: User) -> None:
    _told(alice, title="<script>x</script>", body="<img src=x onerror=x>", link="/x?a=1&b=%22")
    shown = page.get(PAGE).content.decode()
    assert "<script>x" not in shown
    assert "<img src=x" not in shown
    assert "&lt;script&gt;" in shown


def test_ten_thousand_notices_cost_what_ten_do(
    page: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """And the pages are without gaps and repeats."""
    page.get(PAGE)  # the first one after a log-in writes the session
    for count in (10, 9_990):
        _fill(alice, count)
        with django_assert_num_queries(4):  # session, user, notices, unread
            shown = page.get(PAGE).content.decode()
    assert "99+" in shown
    assert count_unread(user_id=alice.pk) == 100
    latest = Notice.objects.latest("pk").pk
    with django_assert_num_queries(4):
        assert page.get(PAGE, {"before": str(latest - 5_000)}).status_code == 200
    Notice.objects.filter(pk__lt=latest - 59).delete()
    seen: list[int] = []
    before = None
    while True:
        found = notices_of(user_id=alice.pk, before=before)
        seen += [notice.pk for notice in found.notices]
        if (before := found.older_than) is None:
            break
    assert seen == sorted(Notice.objects.values_list("pk", flat=True), reverse=True)
    assert len(seen) == 60 > 2 * NOTICES_PER_PAGE


def test_the_page_head_asks_for_the_number_only_where_somebody_is_logged_in(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        assert Client().get("/").status_code == 200


def test_an_empty_centre_says_so(page: Client) -> None:
    assert "You have no notices yet." in page.get(PAGE).content.decode()
    assert "no older notices" in page.get(PAGE, {"before": "1"}).content.decode()


def test_every_optional_topic_is_explained(page: Client) -> None:
    shown = page.get(PREFERENCES).content.decode()
    for topic in OPTIONAL:
        assert f'value="{topic.value}"' in shown
    assert shown.count('<p class="small muted"></p>') == 0
