"""Which addresses may be called: every special range, however an address is written."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.wire import addresses

PUBLIC = ["1.1.1.1", "8.8.8.8", "104.18.6.192", "172.15.0.1", "172.32.0.1", "100.63.255.255",
          "100.128.0.1", "2606:4700::6810:7", "2a00:1450:4001::1"]  # fmt: skip
SPECIAL = {
    "127.0.0.1": addresses.LOOPBACK,
    "127.255.255.254": addresses.LOOPBACK,
    "::1": addresses.LOOPBACK,
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "10.0.0.1": addresses.PRIVATE,
    "172.16.0.1": addresses.PRIVATE,
    "172.31.255.255": addresses.PRIVATE,
    "192.168.1.1": addresses.PRIVATE,
    "100.64.0.1": addresses.PRIVATE,
    "100.127.255.255": addresses.PRIVATE,
    "fc00::1": addresses.PRIVATE,
    "fd12:3456::1": addresses.PRIVATE,
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "169.254.169.254": addresses.METADATA,
    "100.100.100.200": addresses.METADATA,
    "168.63.129.16": addresses.METADATA,
    "fd00:ec2::254": addresses.METADATA,
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "192.0.2.1": "reserved",
    "198.18.0.1": "reserved",
    "198.51.100.7": "reserved",
    "203.0.113.9": "reserved",
    "192.88.99.1": "reserved",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "2001:db8::1": "reserved",
    "2001:0:1::1": "reserved",
    "3fff::1": "reserved",
    "fec0::1": "reserved",
    "64:ff9b:1::a00:1": "reserved",
    "::7f00:1": "reserved",
    "4000::1": "reserved",
    "provider.example": addresses.NO_ADDRESS,
    "": addresses.NO_ADDRESS,
    "127.1": addresses.NO_ADDRESS,
}
# How an IPv6 address carries one of version 4: mapped, NAT64, 6to4.
CARRIED = {
    "mapped": lambda number: ipaddress.IPv6Address((0xFFFF << 32) | number),
    "NAT64": lambda number: ipaddress.IPv6Address((0x64FF9B << 96) | number),
    "6to4": lambda number: ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
}
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_may_be_called(address: str) -> None:
    """Also one that lies just beside a special range."""
    assert addresses.fault(address) == ""


@pytest.mark.parametrize("address", SPECIAL)
def test_a_special_address_may_not_be_called_and_its_kind_is_named(address: str) -> None:
    """Each range of the registries has a case, and so has what is no address at all."""
    assert addresses.fault(address) == SPECIAL[address]


@given(st.ip_addresses())
def test_what_the_library_does_not_call_global_may_not_be_called(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """The tables here leave out nothing that those of `ipaddress` have, and more is refused."""
    carries = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address in addresses.NAT64
    )
    if not carries and not (address.is_global and not address.is_multicast):
        assert addresses.fault(str(address)) != ""


@given(st.sampled_from([n for kind in addresses.SPECIAL.values() for n in kind]), st.data())
def test_every_address_of_every_special_range_is_refused(
    network: addresses.Network, data: st.DataObject
) -> None:
    """From the first to the last one, however it is spelt."""
    address = data.draw(st.ip_addresses(network=network))
    assert addresses.fault(str(address)) != ""
    assert addresses.fault(address.exploded.upper()) != ""


@pytest.mark.parametrize("form", CARRIED)
@given(address=st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_by_itself(
    form: str, address: ipaddress.IPv4Address
) -> None:
    """IPv4 in IPv6 gets no further than IPv4, in each of three forms."""
    carrying = CARRIED[form](int(address))
    assert addresses.kind(str(carrying)) == addresses.kind(str(address))
    assert addresses.fault(str(carrying), private_ok=True) == addresses.fault(
        str(address), private_ok=True
    )


@given(st.ip_addresses())
def test_private_ok_allows_private_addresses_and_nothing_else(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """A metadata service, a neighbour on the link and the container itself stay out."""
    text = str(address)
    allowed = addresses.fault(text, private_ok=True) == ""
    assert allowed == (addresses.kind(text) in ("", addresses.PRIVATE))


@given(st.ip_addresses(), st.ip_addresses())
def test_an_address_that_the_user_names_may_be_called_and_no_other(
    named: ipaddress.IPv4Address | ipaddress.IPv6Address,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Whatever it is; that it may be called makes no other address callable."""
    assert addresses.fault(str(named), named=str(named)) == ""
    if addresses.kind(str(other)) and not addresses.names(str(named), str(other)):
        assert addresses.fault(str(other), named=str(named)) != ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost"])
def test_localhost_names_the_loopback_addresses_alone(host: str) -> None:
    """It names 127.0.0.1 and ::1, and not what else a name server may say of it."""
    assert addresses.fault("127.0.0.1", named=host) == ""
    assert addresses.fault("::1", named=host) == ""
    assert addresses.fault("169.254.169.254", named=host) == addresses.METADATA
    assert addresses.fault("10.0.0.1", named=host) == addresses.PRIVATE


def test_the_own_network_may_not_be_called_though_private_ones_may(tmp_path: Path) -> None:
    """The engine's machine is there; an address that the user names is still allowed."""
    routes = tmp_path / "route"
    routes.write_text(ROUTES)
    own = addresses.own_networks(routes)
    assert own == (ipaddress.IPv4Network("172.18.0.0/16"),)
    assert addresses.fault("172.18.0.1", private_ok=True, own=own) == addresses.OWN
    assert addresses.fault("::ffff:172.18.0.1", private_ok=True, own=own) == addresses.OWN
    assert addresses.fault("172.19.0.1", private_ok=True, own=own) == ""
    assert addresses.fault("172.18.0.1", named="172.18.0.1", own=own) == ""


def test_a_network_of_public_addresses_is_still_the_own_one() -> None:
    """An engine may be given any range for its networks."""
    own = (ipaddress.IPv4Network("8.8.8.0/24"),)
    assert addresses.fault("8.8.8.8", own=own) == addresses.OWN


def test_without_an_interface_there_is_no_own_network(tmp_path: Path) -> None:
    """Neither is there one if the kernel has no list of routes."""
    assert addresses.own_networks(tmp_path / "absent") == ()
