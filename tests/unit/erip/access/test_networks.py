"""The networks of API keys: what is stored is what is read back, and an address is in them or not."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.access.networks import canonical, contain, network_fault, parsed


@pytest.mark.parametrize(
    "text",
    ["", "all", "10.0.0.1/8", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::%eth0/64", "10.0.0.0/8 ", "1", "*", "\0",
     "10.0.0.0/8,11.0.0.0/8", "²", "0x7f.1"],
)  # fmt: skip
def test_what_is_no_network_is_refused(text):
    assert network_fault(text)


def test_a_network_with_bits_beside_it_is_refused_with_what_may_be_meant():
    assert network_fault("10.0.0.1/8") == "is no address and no network; write 10.0.0.0/8"


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 32), st.ip_addresses(v=4))
def test_what_is_stored_holds_the_same_addresses(base, bits, asked):
    network = str(ip_network(f"{base}/{bits}", strict=False))
    if network_fault(network) is not None:
        return  # IPv4 written as IPv6
    (stored,) = canonical([network, network])

    assert canonical([stored]) == [stored]
    assert network_fault(stored) is None
    assert contain(parsed([stored]), str(base)) == (base in ip_network(network))
    assert contain(parsed([stored]), str(asked)) == (asked in ip_network(network))


@pytest.mark.parametrize("address", ["", "unix", "10.0.0.1:80", "\0"])
def test_an_unknown_address_is_in_no_network(address):
    assert not contain(parsed(["0.0.0.0/0", "::/0"]), address)
    assert contain(parsed(["0.0.0.0/0"]), str(ip_address("10.0.0.1")))
