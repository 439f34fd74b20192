"""Where processes listen for one another: on loopback where all are on one machine, else on one address alone."""

import os
import socket
import struct
from contextlib import suppress

# What tells Gloo and NCCL's bootstrap where to listen; what a user has set stands.
_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
LOOPBACK = "127.0.0.1"
# Linux's SIOCGIFADDR.
_ADDRESS_OF_INTERFACE = 0x8915


def listening_socket() -> socket.socket:
    """A socket on a free port of loopback: `TCPStore` by itself would listen on all of a machine's addresses."""
    return socket.create_server((LOOPBACK, 0), backlog=128)


def choose_interface() -> None:
    """Has Gloo and NCCL listen on loopback, or in a job of several machines on the address that reaches the first."""
    interface = _loopback() if _on_one_machine() else _towards(os.environ.get("MASTER_ADDR", ""))
    for name in _VARIABLES if interface else ():
        os.environ.setdefault(name, interface)


def _on_one_machine() -> bool:
    world = os.environ.get("WORLD_SIZE", "1")
    return os.environ.get("LOCAL_WORLD_SIZE", world) == world


def _names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def _loopback() -> str:
    """The interface's name: lo on Linux, lo0 elsewhere; empty where there is none."""
    return next((name for name in ("lo", "lo0") if name in _names()), "")


def _towards(host: str) -> str:
    """The interface that a host is reached by, or that has its address; empty where it can't be told.

    A machine's own name often stands for loopback in its /etc/hosts, and there no other machine could reach it.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # Sends nothing: it only asks for the way.
        own = probe.getsockname()[0]
        if own.startswith("127.") and host not in (LOOPBACK, "localhost"):
            return ""
        return next((name for name in _names() if _address(probe, name) == own), "")
    return ""


def _address(probe: socket.socket, interface: str) -> str:
    """The IPv4 address of an interface, as Linux tells it; empty of one that has none."""
    with suppress(ImportError, OSError):
        import fcntl

        asked = struct.pack("256s", interface.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _ADDRESS_OF_INTERFACE, asked)[20:24])
    return ""
