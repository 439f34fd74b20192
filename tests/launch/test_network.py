"""Where processes listen: on loopback, or on the address that reaches the first of several machines."""

import os
import socket

import pytest

from scd_lightning.launch import network

NAMES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
LOOPBACK = network._loopback()


@pytest.fixture
def chosen(monkeypatch):
    """What is chosen in an environment."""

    def choose(**environment: str) -> list[str | None]:
        with monkeypatch.context() as patch:
            for name in (*NAMES, "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
                patch.setenv(name, "")  # So that it is taken back.
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            network.choose_interface()
            return [os.environ.get(name) for name in NAMES]

    return choose


@pytest.mark.parametrize("sizes", [{}, {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}])
def test_on_one_machine_it_is_loopback(chosen, sizes):
    assert chosen(**sizes, MASTER_ADDR="192.0.2.1") == [LOOPBACK, LOOPBACK]


def test_what_a_user_has_set_stands(chosen):
    assert chosen(GLOO_SOCKET_IFNAME="eth7") == ["eth7", LOOPBACK]


def test_of_several_machines_it_is_the_way_to_the_first(chosen):
    several = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    assert chosen(**several, MASTER_ADDR="127.0.0.1") == [LOOPBACK, LOOPBACK]
    # As a machine's own name has it in Debian's /etc/hosts, where no other machine could reach it.
    assert chosen(**several, MASTER_ADDR="127.0.1.1") == [None, None]
    # Where it can't be told, Gloo and NCCL choose as ever.
    assert chosen(**several, MASTER_ADDR="no.such.host.invalid") == [None, None]


def test_the_meeting_place_is_on_loopback():
    with network.listening_socket() as listening:
        assert listening.getsockname()[0] == network.LOOPBACK
        socket.create_connection(listening.getsockname()).close()
