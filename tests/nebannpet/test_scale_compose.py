"""docker-compose.scale.yml, as far as that can be tried without Docker: its services and their commands."""

from typing import Any, Final

import yaml
from django.core.management import get_commands

from nebannpet.processes import BASE_DIR

BASE: Final[dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
OVERLAY: Final[dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.scale.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = OVERLAY["services"]
MORE: Final = {name: service for name, service in SERVICES.items() if name.startswith("gateway-")}


def test_it_adds_gateways_and_the_server_that_they_read() -> None:
    assert set(SERVICES) - set(BASE["services"]) == {*MORE, "redis-core-reader"}


def test_each_gateway_has_a_name_of_its_own_and_the_first_one_s_network() -> None:
    assert len(MORE) == 3
    for name, service in MORE.items():
        assert service["command"] == f"python manage.py run_gateway --name {name}"
        assert service["network_mode"] == "service:gateway"
        assert service["extends"] == {"file": "docker-compose.yml", "service": "site"}
        assert "ports" not in BASE["services"]["site"], "they are the first gateway's"
    assert "run_gateway" in get_commands()


def test_all_know_that_they_share_a_port_and_read_the_replica() -> None:
    for service in (SERVICES["gateway"], *MORE.values()):
        assert service["environment"]["WEB_CONCURRENCY"] == 1 + len(MORE)
        assert service["environment"]["REDIS_CORE_READ_URL"].endswith("@redis-core-reader:6379/0")
