"""docker-compose.scale.yml, as far as that can be tried without Docker: its services and their commands."""

from typing import Any, Final

import yaml
from django.core.management import get_commands

from nebannpet.processes import BASE_DIR

BASE: Final[dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
OVERLAY: Final[dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.scale.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = OVERLAY["services"]
GATEWAYS: Final = {name: service for name, service in SERVICES.items() if name.startswith("gateway-")}


def test_it_adds_gateways_and_the_server_that_they_read() -> None:
    assert set(SERVICES) - set(BASE["services"]) == {*GATEWAYS, "redis-core-reader"}


def test_the_network_belongs_to_a_service_that_does_nothing_and_so_never_fails() -> None:
    assert SERVICES["gateway"] == {"command": "sleep infinity"}
    # What ends with a process that does nothing comes back by itself, and ends at once when it is asked to.
    assert BASE["services"]["gateway"]["restart"] == "unless-stopped"
    assert BASE["services"]["gateway"]["init"] is True
    assert BASE["services"]["gateway"]["ports"], "the only ones"


def test_each_gateway_has_a_name_of_its_own_and_none_lives_in_another_one_s_network() -> None:
    assert len(GATEWAYS) == 4
    for name, service in GATEWAYS.items():
        assert service["command"] == f"python manage.py run_gateway --name {name}"
        assert service["network_mode"] == "service:gateway"
        assert service["extends"] == {"file": "docker-compose.yml", "service": "site"}
        assert "ports" not in BASE["services"]["site"], "a service in the network of another one has none"
        assert service["depends_on"]["gateway"] == {"condition": "service_started"}
    assert "run_gateway" in get_commands()


def test_all_know_that_they_share_a_port_and_read_the_replica() -> None:
    for service in GATEWAYS.values():
        assert service["environment"]["WEB_CONCURRENCY"] == len(GATEWAYS)
        assert service["depends_on"]["redis-core-reader"] == {"condition": "service_healthy"}
        assert service["environment"]["REDIS_CORE_READ_URL"].endswith("@redis-core-reader:6379/0")
