"""The port that gateway processes share: the kernel spreads new connections over those that listen on it."""

import socket

from nebannpet.env import ConfigurationError


def shared_sockets(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of `host`; another process of this user may bind the same.

    ConfigurationError where the name has no address, or somebody else has the port for himself.
    """
    found = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            found.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
    except OSError as error:
        for one in found:
            one.close()
        raise ConfigurationError(f"The gateway cannot listen at {host}:{port}: {error.strerror or error}.") from error
    return found
