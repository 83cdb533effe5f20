"""Which addresses count as one client, wherever clients are counted (threats T1 and T20)."""

import ipaddress


def network_of(address: str) -> str:
    """An IPv4 address as it is; the /64 of an IPv6 address, since one customer has at least that; else empty."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
