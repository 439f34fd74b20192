"""The address that a server is called under, which it has before anything is loaded."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from scd_lightning.errors import ConfigError


def bind(host: str, port: int) -> socket.socket:
    """A socket that has its address, and on which nobody can call yet.

    Args:
        host: A name or an address of this machine.
        port: The port; 0 for one that is free.

    Raises:
        ConfigError: The address can't be had.
    """
    with told_of_address(host, port):
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            # Else the port could not be had again for a minute after a server's end.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
        return bound


@contextmanager
def told_of_address(host: str, port: int) -> Iterator[None]:
    """Has it told of an address that can't be had.

    Raises:
        ConfigError: It can't.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                "Another program listens there",
                where="--host, --port",
                got=f"{host}, {port}",
                remedy="name another port, or end that program; with --port 0 a free one is taken",
            ) from error
        raise ConfigError(
            "The server can't have that address",
            where="--host, --port",
            got=f"{host}, {port}: {error.strerror or error}",
            expected="an address of this machine, and a port from 1024 on",
        ) from error
    except UnicodeError as error:
        raise ConfigError(
            "That is no host's name", where="--host", got=host, expected="a name, or an address"
        ) from error
