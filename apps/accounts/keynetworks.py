"""From where an API key works (requirement A5). No ORM: the gateway uses it, too."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


@lru_cache(maxsize=10_000)
def parse_address(address: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address, as behind a unix socket. An IPv4 address in IPv6 spelling is the IPv4 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def networks_of(texts: Sequence[str]) -> Networks:
    return tuple(ip_network(text) for text in texts)


def is_within(address: str | None, networks: Networks) -> bool:
    """No networks are everywhere. None stands for a connection whose address is not looked at; an address that cannot
    be read is nowhere.
    """
    if not networks or address is None:
        return True
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def is_no_wider(wanted: Networks, present: Networks) -> bool:
    """Whether all of `wanted` lies in `present`, each network within one of them; none are everywhere."""
    if not (wanted and present):
        return not present
    return all(any(_contains(outer, inner) for outer in present) for inner in wanted)


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
