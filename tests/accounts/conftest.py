"""Users of the account tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.accounts.people import PASSWORD


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """make_user("a@example.org", **fields) -> a user with PASSWORD."""

    def make(email: str = "alice@example.org", **fields: object) -> User:
        return User.objects.create_user(email, PASSWORD, **fields)

    return make


@pytest.fixture
def alice(make_user: Callable[..., User]) -> User:
    return make_user("alice@example.org")


@pytest.fixture
def alice_client(alice: User) -> Client:
    """A browser in which alice is logged in; it checks CSRF like a real one."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    return client


@pytest.fixture
def csrf_post() -> Callable[..., Any]:
    """csrf_post(client, page, path, data): a POST with the token of `page`, as the form on it would send."""

    def post(client: Client, page: str, path: str, data: dict[str, str] | None = None) -> Any:
        client.get(page)
        token = client.cookies["csrftoken"].value
        return client.post(path, {**(data or {}), "csrfmiddlewaretoken": token})

    return post
