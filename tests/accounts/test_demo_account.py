"""Demo accounts: what the service makes, and that it never takes over an ordinary account."""

from collections.abc import Callable

import pytest
from django.contrib.auth import authenticate
from django.db.models.functions import Now

from apps.accounts.errors import InvalidEmail, NotADemoAccount, WrongCode
from apps.accounts.models import ApiKey, TradingAccount, User
from apps.accounts.secrets import decrypt_secret
from apps.accounts.services.codes import use_code
from apps.accounts.services.demo import make_demo_account
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db


def test_everything_in_it_works() -> None:
    made = make_demo_account(name="trader1", is_staff=False)
    user = authenticate(username=made.email, password=made.password)
    assert isinstance(user, User)
    account = TradingAccount.objects.get(pk=made.account_id)
    key = ApiKey.objects.get(public_key=made.api_key)
    assert (made.email, made.created) == ("trader1@demo.example.com", True)
    assert (user.is_staff, user.is_superuser, user.email_verified_at is not None) == (False, False, True)
    assert (account.owner, account.tier, account.is_main) == (user, "demo", True)
    use_code(user_id=user.pk, code=fresh_code(made.totp_secret))
    assert (key.account, key.can_read, key.can_trade) == (account, True, True)
    assert decrypt_secret(key.public_key, key.secret_box).decode() == made.api_secret


def test_again_gives_the_same_account_with_a_new_password_and_key() -> None:
    first = make_demo_account(name="trader1", is_staff=False)
    User.objects.update(locked_at=Now(), lock_needs_staff=True)
    second = make_demo_account(name="Trader1@demo.example.com", is_staff=False)
    assert (second.account_id, second.created) == (first.account_id, False)
    assert authenticate(username=first.email, password=first.password) is None
    assert authenticate(username=first.email, password=second.password) is not None
    second_user = User.objects.get().pk
    with pytest.raises(WrongCode):
        use_code(user_id=second_user, code=fresh_code(first.totp_secret))
    use_code(user_id=second_user, code=fresh_code(second.totp_secret))
    assert ApiKey.objects.get(public_key=first.api_key).is_revoked
    assert not ApiKey.objects.get(public_key=second.api_key).is_revoked


def test_staff_right_is_added_and_never_taken() -> None:
    make_demo_account(name="boss", is_staff=True)
    make_demo_account(name="boss", is_staff=False)
    user = User.objects.get()
    assert user.is_staff
    assert user.is_superuser


def test_ordinary_account_is_refused_and_untouched(make_user: Callable[..., User]) -> None:
    make_user("alice@example.org")
    before = User.objects.values().get()
    with pytest.raises(NotADemoAccount, match="not a demo account"):
        make_demo_account(name="alice@example.org", is_staff=True)
    assert User.objects.values().get() == before
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "a b", "ä", "a@b", "x" * 300])
def test_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidEmail):
        make_demo_account(name=name, is_staff=False)
    assert not User.objects.exists()
