"""Facts that docs/asvs.csv rests on and that no other test says."""

import ast
import base64
import re

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from apps.accounts.models import User
from apps.accounts.services.recoverycodes import issue_codes
from tests.architecture.sources import python_files

KNOWLEDGE_OR_TELEPHONE = re.compile(r"hint|question|answer|phone|mobile|sms", re.IGNORECASE)


@pytest.mark.django_db
def test_a_new_installation_has_no_accounts() -> None:
    assert not User.objects.exists()


@pytest.mark.django_db
def test_users_have_no_hints_no_questions_and_no_telephone() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns"
            " WHERE starts_with(table_name, 'accounts_')"
        )
        columns = [name for (name,) in cursor.fetchall()]
    assert len(columns) > 50
    assert [name for name in columns if KNOWLEDGE_OR_TELEPHONE.search(name)] == []


@pytest.mark.django_db
def test_recovery_codes_have_120_random_bits() -> None:
    codes = issue_codes(User.objects.create_user("alice@example.org", "x"))
    assert {len(base64.b32decode(code.replace("-", ""))) for code in codes} == {15}
    assert len(set(codes)) == len(codes)


def test_secrets_come_from_the_systems_generator() -> None:
    """`random` can be guessed from what it gave before; `secrets` and `os.urandom` cannot."""
    for path in python_files("apps/accounts", "apps/notifications", "apps/common"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"random", "numpy.random"} & set(names), path


@pytest.mark.django_db
def test_session_keys_are_long_and_random() -> None:
    keys = []
    for _ in range(3):
        store = SessionStore()
        store.create()
        keys.append(store.session_key or "")
    assert len(set(keys)) == 3
    assert all(re.fullmatch(r"[a-z0-9]{32}", key) for key in keys), "36 signs, 32 times: 165 bits"
