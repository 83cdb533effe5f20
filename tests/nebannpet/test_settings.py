"""Production refuses to start with anything that belongs to development, and says all of it at once."""

import json
import os
import secrets
import subprocess
import sys

import pytest

from tests.stack import BASE_DIR, INHERITED, MANAGE

GOOD = {
    "NEBANNPET_ENV": "production",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "CREDENTIALS_KEY": secrets.token_hex(32),
    "AUDIT_KEY_FILE": "/run/secrets/audit-checkpoint.key",
    "ALLOWED_HOSTS": "exchange.example",
    "PUBLIC_ORIGIN": "https://exchange.example",
    "EMAIL_URL": "smtps://user:password@mail.example",
    "DEFAULT_FROM": "Nebannpet <no-reply@exchange.example>",
    "SUPPORT_EMAIL": "support@exchange.example",
    "DATABASE_URL": "postgresql://user:password@database.example/nebannpet",
    "REDIS_CORE_URL": "rediss://core.example/0",
    "REDIS_EDGE_URL": "rediss://edge.example/0",
}
SHOW = """
from django.conf import settings as s
print(s.DEBUG, s.SIMULATOR, s.DEMO_DATA, s.SESSION_COOKIE_SECURE, s.SECURE_HSTS_SECONDS)
"""


def run(environment: dict[str, str], *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        env={**clean, **environment}, cwd=BASE_DIR, input=given, capture_output=True, text=True,
    )  # fmt: skip


def test_production_starts_with_everything_in_place() -> None:
    done = run({**GOOD, "DJANGO_SETTINGS_MODULE": "nebannpet.settings"}, "-c", SHOW)
    assert (done.returncode, done.stdout.strip()) == (0, "False False False True 31536000"), done.stderr


def test_nothing_is_left_to_say_about_a_deployment() -> None:
    done = run(GOOD, MANAGE, "check", "--deploy", "--fail-level", "DEBUG")
    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stderr
    assert "(1 silenced)" in done.stdout, "W021 alone: docs/decisions/0018"


REFUSED = [
    ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
    ({"SECRET_KEY": "short"}, "SECRET_KEY is a default or too weak"),
    ({"SECRET_KEY": "a" * 80}, "SECRET_KEY is a default or too weak"),
    (
        {"SECRET_KEY": "development-only-secret-key-that-production-settings-refuse-to-start-with"},
        "SECRET_KEY is a default or too weak",
    ),
    ({"CREDENTIALS_KEY": ""}, "CREDENTIALS_KEY is not set"),
    ({"AUDIT_KEY_FILE": ""}, "AUDIT_KEY_FILE is not set"),
    ({"CREDENTIALS_KEY": "00" * 31 + "01"}, "CREDENTIALS_KEY must be"),
    ({"CREDENTIALS_KEY": "abc"}, "CREDENTIALS_KEY must be"),
    ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is not set"),
    ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name the hosts"),
    ({"PUBLIC_ORIGIN": "http://exchange.example"}, "PUBLIC_ORIGIN must be https"),
    ({"PUBLIC_ORIGIN": "https://203.0.113.7"}, "PUBLIC_ORIGIN must have a host name"),
    ({"PASSKEY_RP_ID": "other.example"}, "PASSKEY_RP_ID must be 'exchange.example'"),
    ({"EMAIL_URL": ""}, "EMAIL_URL is not set"),
    ({"EMAIL_URL": "mail.example"}, "EMAIL_URL must start with smtp:// or smtps://"),
    ({"DEFAULT_FROM": ""}, "DEFAULT_FROM is not set"),
    ({"SUPPORT_EMAIL": ""}, "SUPPORT_EMAIL is not set"),
    ({"SUPPORT_EMAIL": "Us <us@exchange.example>"}, "SUPPORT_EMAIL must look like support@exchange.example"),
    ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
    ({"REDIS_CORE_URL": ""}, "REDIS_CORE_URL is not set"),
    ({"REDIS_EDGE_URL": ""}, "REDIS_EDGE_URL is not set"),
    ({"DEBUG": "1"}, "DEBUG is for development"),
    ({"DEMO_DATA": "1"}, "DEMO_DATA is for development"),
    ({"CRASH_AT": "plan"}, "CRASH_AT kills processes"),
    ({"SIMULATOR": "1"}, "SIMULATOR is for development"),
    ({"SHARD": "tea"}, "SHARD must be one of spot, drill"),
    ({"NEBANNPET_ENV": "prod"}, "NEBANNPET_ENV must be one of development, production"),
]


# Python and Django start once for all of them, not once for each.
CHECK_EACH = """
import json, os, runpy, sys, tempfile
import django.core.management, psycopg, redis.asyncio, structlog
manage, answers = sys.argv[1], []
for environment in json.load(sys.stdin):
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            os.environ |= environment
            sys.argv = [manage, "check"]
            runpy.run_path(manage, run_name="__main__")
            sys.exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        answers.append((code, said.read().decode()))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def checked() -> list[tuple[int, str]]:
    """(code, standard error) of `manage.py check` in the environment of each row of REFUSED."""
    environments = [{**GOOD, **change} for change, _ in REFUSED]
    done = run({}, "-c", CHECK_EACH, str(MANAGE), given=json.dumps(environments))
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in json.loads(done.stdout)]


@pytest.mark.parametrize("row", range(len(REFUSED)))
def test_production_refuses(checked: list[tuple[int, str]], row: int) -> None:
    code, said = checked[row]
    assert code == 1
    assert REFUSED[row][1] in said
    assert "Traceback" not in said


def test_all_refusals_are_named_at_once() -> None:
    done = run({"NEBANNPET_ENV": "production"}, MANAGE, "check")
    missing = (
        "SECRET_KEY", "CREDENTIALS_KEY", "AUDIT_KEY_FILE", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_CORE_URL",
        "REDIS_EDGE_URL", "EMAIL_URL",
    )  # fmt: skip
    assert all(f"{name} is not set" in done.stderr for name in missing)


def test_migrations_are_complete(db: None) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
