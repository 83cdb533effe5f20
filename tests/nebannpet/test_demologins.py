"""Demo logins are kept between starts, privately, and made anew for a database that does not know them."""

import json
from pathlib import Path

import psycopg
import pytest

from nebannpet.demologins import DemoLogin, load_logins, parse_login, save_logins

LOGIN = DemoLogin("trader@demo.example.com", "secret-word", "JBSWY3DPEHPK3PXP", "key", "api-secret", 1001)


@pytest.fixture
def dsn(postgres: str) -> str:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS accounts_user")
        connection.execute("CREATE TABLE accounts_user (email text)")
    return postgres


def test_login_is_found_among_other_lines() -> None:
    line = json.dumps({**{name: getattr(LOGIN, name) for name in DemoLogin.__slots__}, "more": None})
    assert parse_login(["a warning", line]) == LOGIN


def test_no_login_is_an_error() -> None:
    with pytest.raises(ValueError, match="printed no login"):
        parse_login(["made nothing"])


def test_kept_logins_are_private_and_come_back(tmp_path: Path, dsn: str) -> None:
    path = tmp_path / "demo-logins.json"
    save_logins(path, [LOGIN])
    assert path.stat().st_mode & 0o077 == 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO accounts_user VALUES (%s)", [LOGIN.email])
    assert load_logins(path, dsn) == [LOGIN]


def test_logins_of_another_database_do_not_count(tmp_path: Path, dsn: str) -> None:
    path = tmp_path / "demo-logins.json"
    save_logins(path, [LOGIN])
    assert load_logins(path, dsn) == []
    assert load_logins(tmp_path / "missing.json", dsn) == []


def test_logins_of_an_older_release_do_not_count(tmp_path: Path, dsn: str) -> None:
    path = tmp_path / "demo-logins.json"
    save_logins(path, [LOGIN])
    kept = json.loads(path.read_text())
    del kept[0]["totp_secret"]
    path.write_text(json.dumps(kept))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO accounts_user VALUES (%s)", [LOGIN.email])
    assert load_logins(path, dsn) == []
