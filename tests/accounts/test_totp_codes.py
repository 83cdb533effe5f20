"""Codes of authenticator apps: the standard's own examples, one use, few guesses (requirement A2)."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import totp
from apps.accounts.errors import FactorMissing, SecretUnreadable, TooManyAttempts, WrongCode
from apps.accounts.models import TotpFactor, User
from apps.accounts.policy import CODE_FAILURES_IN_A_ROW_MAX, CODE_FAILURES_MAX, CODE_FAILURES_WINDOW_S
from apps.accounts.secrets import open_totp, seal_totp
from apps.accounts.services.announcements import tell_codes_guessed
from apps.accounts.services.codes import use_code
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.resets import request_reset, reset_password
from apps.audit.models import Tally
from apps.notifications.models import OutgoingEmail
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.mailbox import HERE, link_to, token_of
from tests.accounts.people import PASSWORD
from tests.codes import code_of, fresh_code

RFC_SECRET = b"12345678901234567890"
NOW_S = 1_111_111_109.0  # RFC 6238, appendix B: step 0x23523EC
WRONG_FORMS = (
    *("", "12345", "1234567", " 123456", "123456 ", "123 456", "+12345", "-12345", "1_2345", "12345\n", "123456\n"),
    *("\u0661\u0662\u0663\u0664\u0665\u0666", "\uff11\uff12\uff13\uff14\uff15\uff16", "12345\u00b2"),
    *("12345\x00", "1e3000"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("at_s", "code"), [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
)
def test_examples_of_the_standard(at_s: int, code: str) -> None:
    assert totp.code_at(RFC_SECRET, totp.step_at(at_s)) == code
    assert code_of(totp.as_base32(RFC_SECRET), at_s // 30) == code
    assert totp.matching_step(RFC_SECRET, code, now_s=at_s, after=-1) == at_s // 30


@pytest.mark.parametrize(("off", "works"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_period_before_and_after(off: int, works: bool) -> None:
    step = totp.step_at(NOW_S) + off
    found = totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, step), now_s=NOW_S, after=-1)
    assert found == (step if works else None)


def test_a_used_step_and_those_before_it_are_over() -> None:
    step = totp.step_at(NOW_S)
    for used, works in ((step - 1, True), (step, False), (step + 1, False)):
        found = totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, step), now_s=NOW_S, after=used)
        assert (found is not None) is works


def test_what_the_picture_says() -> None:
    uri = totp.provisioning_uri(RFC_SECRET, account="a+b@example.org", issuer="Nebannpet")
    assert uri == (
        "otpauth://totp/Nebannpet:a%2Bb@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Nebannpet"
        "&algorithm=SHA1&digits=6&period=30"
    )


def test_the_box_opens_for_its_user_only() -> None:
    box = seal_totp(7, RFC_SECRET)
    assert RFC_SECRET not in box
    assert open_totp(7, box) == RFC_SECRET
    for user_id, altered in ((8, box), (7, box[:-1] + bytes([box[-1] ^ 1])), (7, b"")):
        with pytest.raises(SecretUnreadable):
            open_totp(user_id, altered)


@pytest.mark.django_db
@pytest.mark.parametrize("text", WRONG_FORMS)
def test_what_is_no_code_is_refused_unseen(alice: User, text: str) -> None:
    with_app(alice)
    before = TotpFactor.objects.values().get()
    with pytest.raises(WrongCode, match="six digits"):
        use_code(user_id=alice.pk, code=text)
    assert TotpFactor.objects.values().get() == before


@pytest.mark.django_db
def test_a_code_works_once(alice: User) -> None:
    secret, _ = with_app(alice)
    code = fresh_code(secret)
    use_code(user_id=alice.pk, code=code)
    with pytest.raises(WrongCode, match="used already"):
        use_code(user_id=alice.pk, code=code)


@pytest.mark.django_db
def test_without_an_app_there_is_nothing_to_check(alice: User) -> None:
    with pytest.raises(FactorMissing):
        use_code(user_id=alice.pk, code="123456")


@pytest.mark.django_db
def test_a_thousand_guesses_are_a_few_evaluations(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 10 minutes at most 20, wherever the window begins; then not even the right code. The owner is told once."""
    secret, _ = with_app(alice)
    evaluated: list[str] = []

    def never(secret: bytes, code: str, *, now_s: float, after: int) -> None:
        evaluated.append(code)

    now = timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr("apps.accounts.services.codes.matching_step", never)
        for guess in range(1000):
            at = now + timedelta(seconds=600 * guess / 1000)
            patched.setattr(timezone, "now", lambda at=at: at)
            with pytest.raises((WrongCode, TooManyAttempts)):
                use_code(user_id=alice.pk, code=f"{guess:06d}")
    assert len(evaluated) == CODE_FAILURES_MAX <= 10  # a window that begins within the 10 minutes may add as many
    with pytest.raises(TooManyAttempts, match="right code is refused"):
        use_code(user_id=alice.pk, code=fresh_code(secret))
    assert OutgoingEmail.objects.filter(template="codes_guessed", to=alice.email).count() == 1
    assert Tally.objects.filter(object="second factor").exists()
    since = timezone.now() - timedelta(seconds=CODE_FAILURES_WINDOW_S + 1)
    TotpFactor.objects.update(failures_since=since)
    use_code(user_id=alice.pk, code=fresh_code(secret))
    assert TotpFactor.objects.get().failures == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("locked", [True, False])
def test_twenty_parallel_uses_of_one_code(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """One success; and without the lock more than one, which shows that this test could see it."""
    user = make_user()
    secret, _ = with_app(user)
    code = fresh_code(secret)
    uses = 20 if locked else 2
    outcomes: list[str] = []
    if not locked:
        # Both have read the row before either writes it.
        gate = threading.Barrier(uses, timeout=60)
        monkeypatch.setattr("django.db.models.query.QuerySet.select_for_update", lambda self, **_: self)
        plain = totp.matching_step

        def wait(*args: object, **named: object) -> int | None:
            gate.wait()
            return plain(*args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr("apps.accounts.services.codes.matching_step", wait)

    def use() -> None:
        try:
            use_code(user_id=user.pk, code=code)
            outcomes.append("success")
        except WrongCode:
            outcomes.append("refused")
        except TooManyAttempts:
            outcomes.append("unseen")
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(uses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == uses
    assert outcomes.count("success") == (1 if locked else 2)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")
        return cursor.fetchone() is not None


@pytest.mark.django_db(transaction=True)
def test_a_wrong_code_and_a_removal_wait_for_each_other(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure that reaches the limit is told in an e-mail, while the factor's row is locked: no deadlock."""
    user = make_user()
    with_app(user)
    TotpFactor.objects.update(failures=CODE_FAILURES_MAX - 1, failures_since=timezone.now())
    outcomes: list[str] = []

    def remove() -> None:
        try:
            remove_totp(user_id=user.pk)
            outcomes.append("removed")
        finally:
            connection.close()

    other = threading.Thread(target=remove)

    def tell(user: User) -> None:
        other.start()
        deadline = time.monotonic() + 60
        while other.is_alive() and not _somebody_waits():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        tell_codes_guessed(user)

    monkeypatch.setattr("apps.accounts.services.codes.tell_codes_guessed", tell)
    with pytest.raises(WrongCode):
        use_code(user_id=user.pk, code="000000")
    other.join(60)
    assert outcomes == ["removed"]
    assert OutgoingEmail.objects.filter(template="codes_guessed").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("by", ["reset", "change"])
def test_after_a_hundred_wrong_codes_in_a_row_there_must_be_another_password(alice: User, by: str) -> None:
    secret, _ = with_app(alice)
    client = Client()
    client.force_login(alice)
    confirm_now(client)
    last = timezone.now() - timedelta(seconds=CODE_FAILURES_WINDOW_S + 1)
    before = CODE_FAILURES_IN_A_ROW_MAX - 1
    TotpFactor.objects.update(failures=CODE_FAILURES_MAX, failures_since=last, failures_in_a_row=before)
    with pytest.raises(WrongCode):
        use_code(user_id=alice.pk, code=f"{(int(fresh_code(secret)) + 500_000) % 1_000_000:06d}")
    with pytest.raises(TooManyAttempts, match="Set a new one by e-mail"):
        use_code(user_id=alice.pk, code=fresh_code(secret))
    if by == "reset":
        request_reset(email=alice.email, client=HERE)
        reset_password(token=token_of(link_to(alice.email)), new_password="a new good password")
    else:
        sent = {"current": PASSWORD, "new": "a new good password"}
        assert client.post("/account/password", sent).status_code == 302
    code = code_of(secret, int(time.time()) // 30)
    use_code(user_id=alice.pk, code=code)
    assert TotpFactor.objects.get().failures_in_a_row == 0
