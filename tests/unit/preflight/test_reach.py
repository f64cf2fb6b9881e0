"""An address that means the gateway itself is recognised, and a failed connection is explained."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from runner.preflight import reach
from runner.wire import dial


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine where somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "127.0.0.1",
     "127.9.9.9", "127.1", "0x7f000001", "2130706433", "0", "0.0.0.0", "::1", "::",
     "::ffff:127.0.0.1", "ip6-localhost"],
)  # fmt: skip
def test_every_way_to_write_localhost_is_known(host: str) -> None:
    """Names and loopback addresses, also as the C library takes them."""
    assert reach.means_itself(host)


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "172.17.0.1", "host.docker.internal", "localhost.example.org", "mylocalhost",
     "fd00::1", "::ffff:192.0.2.1", "128.0.0.1", "gpu-box"],
)  # fmt: skip
def test_other_hosts_are_not_taken_for_localhost(host: str) -> None:
    """Neither by a similar name nor by a similar address."""
    assert not reach.means_itself(host)


def test_a_listener_is_connected_to(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """One connection is enough, and nothing is printed."""
    assert dial.main("127.0.0.1", str(port)) == 0
    assert capsys.readouterr().out == ""


def test_a_port_where_nobody_listens_is_tried_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reason is the operating system's, on one line."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert dial.main("127.0.0.1", str(free)) == 1
    assert capsys.readouterr().out == "no connection: Connection refused\n"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_name_that_leads_nowhere_is_named_as_the_reason(host: str) -> None:
    """It is unknown, or not a valid name at all."""
    assert "the name is" in dial.failure(host, 80, tls=False)


@pytest.mark.parametrize("option", ["public", "private"])
def test_an_address_that_must_not_be_called_is_not_tried(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """Here a name of this machine's leads to it, and the user did not name an address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert dial.main("127.1", str(server.getsockname()[1]), option) == 1
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    said = capsys.readouterr().out
    assert said.startswith(reach.NOT_CALLED)
    assert "127.0.0.1 (of the container itself)" in said


def test_an_address_that_the_user_names_is_tried(port: int) -> None:
    """BASE_URL has the last word about an address that stands in it."""
    assert dial.main("127.0.0.1", str(port), "private") == 0
