"""Cross-checks of networks, against a plain count of addresses."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from plugins.inventory.findings import Finding
from plugins.inventory.networks import (
    Networks,
    check_cluster,
    check_dns,
    check_networks,
    check_node_subnets,
    check_ovnkube_networks,
)

BASE = int(IPv4Address("10.142.0.0"))


def cluster(**parts):
    networks = {key: parts.pop(key) for key in ("pod_network", "service_network", "host_network") if key in parts}
    return Networks(lambda path, problem, todo: Finding("d", "", path[0], problem, todo), networks, **parts)


@st.composite
def networks(draw, base=BASE):
    """Draw small networks near each other, so that they often overlap."""
    prefix = draw(st.integers(24, 30))
    return IPv4Network((base + draw(st.integers(0, 3)) * 256 & -(1 << (32 - prefix)), prefix))


@given(networks(), networks(), networks())
def test_networks_that_share_an_address_are_named(pods, services, hosts):
    """Two networks are reported exactly when there is an address in both."""
    found = list(check_networks(cluster(pod_network=pods, service_network=services, host_network=hosts)))
    expected = [
        ("service_network", f"{services} overlaps the pod network {pods}", set(pods) & set(services)),
        ("host_network", f"{hosts} overlaps the pod network {pods}", set(pods) & set(hosts)),
        ("host_network", f"{hosts} overlaps the service network {services}", set(services) & set(hosts)),
    ]
    assert [(one.key, one.problem) for one in found] == [(key, said) for key, said, shared in expected if shared]


@given(st.integers(8, 28), st.integers(8, 28), st.integers(1, 300), st.booleans())
def test_every_host_has_a_subnet(prefix, node_prefix, hosts, kubernetes):
    """The pod network is too small exactly when cutting it up gives fewer subnets than there are hosts.

    With Kubernetes it must be cut up: ovnkube takes no subnet as large as the network, be it for one host.
    """
    pods = IPv4Network((10 << 24, prefix))
    keys = {"pod_network": pods, "node_prefix": node_prefix, "kubernetes": kubernetes}
    found = list(check_node_subnets(cluster(**keys), hosts))
    whole = kubernetes and node_prefix == prefix
    subnets = 0 if node_prefix < prefix else 1 << (node_prefix - prefix)
    assert bool(found) == (subnets < hosts or whole)
    if whole:
        assert found[0].key == "node_prefix"
        assert f"/{prefix} is as large as the whole pod network {pods}" in found[0].problem
    elif found and subnets:
        longest = int(found[0].todo.split("at most ")[1].split(",")[0])
        assert 1 << (node_prefix - longest) >= hosts
        assert 1 << (node_prefix - longest - 1) < hosts


@given(networks(), st.integers(BASE - 2, BASE + 1100).map(IPv4Address))
def test_the_dns_address_is_one_a_service_can_have(services, dns):
    """All addresses of the service network do, but the first two and the last."""
    found = list(check_dns(cluster(service_network=services, dns_address=dns)))
    assert (not found) == (dns in list(services)[2:-1])
    assert all(one.key == "dns_address" for one in found)


def test_a_service_network_larger_than_kubernetes_takes_is_refused():
    """The API server refuses prefix lengths under 12."""
    (found,) = check_cluster(cluster(service_network=IPv4Network("10.0.0.0/11")), 1)
    assert str(found) == (
        "d: service_network: 10.0.0.0/11 is larger than Kubernetes takes; write a prefix length of 12 or more"
    )
    assert not list(check_cluster(cluster(service_network=IPv4Network("10.0.0.0/12")), 1))


@given(networks(int(IPv4Address("100.64.255.0"))), st.sampled_from(["pod_network", "service_network"]))
def test_networks_of_ovnkube_itself_are_refused(network, key):
    """With Kubernetes no network of pods or services shares an address with ovnkube's join network."""
    found = list(check_ovnkube_networks(cluster(**{key: network})))
    assert [one.key for one in found] == ([key] if network.subnet_of(IPv4Network("100.64.0.0/16")) else [])
    assert not list(check_ovnkube_networks(cluster(**{key: network}, kubernetes=False)))
    assert not list(check_ovnkube_networks(cluster(host_network=network)))


def test_nothing_is_said_about_what_could_not_be_read():
    """Checks between keys wait until both can be read."""
    assert not list(check_cluster(cluster(), 1000))
