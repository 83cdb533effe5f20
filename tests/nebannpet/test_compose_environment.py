"""Every container of the compose files starts with what an .env file for production says."""

import re
from typing import Any

import pytest
import yaml

from nebannpet.processes import BASE_DIR
from tests.nebannpet.test_settings import GOOD, SHOW, run

# What docker-compose.yml asks the .env file for; the addresses of the servers it makes itself.
DOT_ENV = {name: value for name, value in GOOD.items() if not name.endswith(("DATABASE_URL", "REDIS_CORE_URL"))} | {
    "POSTGRES_PASSWORD": "secret", "REDIS_PASSWORD": "secret", "SITE_ADDRESS": "10.0.0.1", "SIMULATOR": "0",
    "DEMO_DATA": "0",
}  # fmt: skip
SERVERS = {"postgres", "redis-core", "redis-edge", "redis-core-reader"}
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")


def _load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((BASE_DIR / name).read_text())["services"])


BASE = _load("docker-compose.yml")


def _environments() -> dict[str, dict[str, str]]:
    """Of each service that runs our code: what Docker would hand to it. Overlays add to what a service has already."""
    found: dict[str, dict[str, str]] = {}
    for file in ("docker-compose.yml", "docker-compose.two-site.yml", "docker-compose.scale.yml"):
        for name, service in _load(file).items():
            if name in SERVERS:
                continue
            base = BASE.get(name) or BASE.get(service.get("extends", {}).get("service"), {})
            own = {**base.get("environment", {}), **service.get("environment", {})}
            found[f"{file}: {name}"] = {
                key: VARIABLE.sub(lambda match: DOT_ENV.get(match[1], match[2] or ""), str(value))
                for key, value in own.items()
            }
    return found


ENVIRONMENTS = _environments()
# Most are the same; each is tried once.
DIFFERENT = {tuple(sorted(environment.items())): name for name, environment in reversed(ENVIRONMENTS.items())}


def test_all_services_are_seen() -> None:
    assert {"docker-compose.yml: celery", "docker-compose.two-site.yml: failover"} <= set(ENVIRONMENTS)
    assert all(environment["NEBANNPET_ENV"] == "production" for environment in ENVIRONMENTS.values())


@pytest.mark.parametrize("name", DIFFERENT.values())
def test_production_settings_load(name: str) -> None:
    done = run({**ENVIRONMENTS[name], "DJANGO_SETTINGS_MODULE": "nebannpet.settings"}, "-c", SHOW)
    assert (done.returncode, done.stdout.strip()) == (0, "False False False True 31536000"), done.stderr
