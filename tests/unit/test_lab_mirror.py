"""Where a lab's packages come from: the machine's own apt configuration."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from plugins.errors import UsageError
from plugins.lab.mirror import carried_settings, choose_sources, parse_targets

GATEWAY = IPv4Address("10.142.0.1")


def target(codename: str, uri: str, origin: str = "Debian", kind: str = "Packages") -> str:
    return "\n".join(
        [
            f"MetaKey: main/binary-amd64/{kind}",
            f"Description: {uri} {codename}/main amd64 {kind}",
            f"Codename: {codename}",
            f"Origin: {origin}",
            f"Created-By: {kind}",
            f"Repo-URI: {uri}",
        ]
    )


DEBIAN = "\n\n".join(
    [
        target("bookworm", "http://mirror.example/debian/"),
        target("bookworm", "http://mirror.example/debian/", kind="Translations"),
        target("bookworm-updates", "http://mirror.example/debian/"),
        target("bookworm-security", "http://mirror.example/debian-security/"),
        target("bookworm", "https://vendor.example/apt/", origin="Vendor"),
    ]
)


def test_a_debian_machine_gives_its_mirror_to_the_labs_suite() -> None:
    """The suite is fixed, the mirrors of the release, its updates and its security fixes are the machine's."""
    sources = choose_sources(parse_targets(DEBIAN), "bookworm", "Debian")
    assert (sources.suite, sources.mirror) == ("trixie", "http://mirror.example/debian")
    assert sources.sources_list.splitlines() == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_an_ubuntu_machine_gives_its_own_suite() -> None:
    """An Ubuntu mirror surely has the suite of the machine that uses it; OVN is in universe."""
    text = "\n\n".join(
        [
            target("noble", "http://u.example/ubuntu/", "Ubuntu"),
            target("noble-security", "http://s.example/u/", "Ubuntu"),
        ]
    )
    sources = choose_sources(parse_targets(text), "noble", "Ubuntu")
    assert sources.lines == (
        "deb http://u.example/ubuntu noble main universe",
        "deb http://s.example/u noble-security main universe",
    )


def test_a_named_mirror_is_used_alone() -> None:
    """`--mirror` replaces every source: where it is needed, the machine's own are of no use."""
    sources = choose_sources(parse_targets(DEBIAN), "bookworm", "Debian", mirror="http://10.0.0.9/debian/")
    assert sources.lines == ("deb http://10.0.0.9/debian trixie main",)


@pytest.mark.parametrize("uri", ["file:/srv/debian/", "cdrom:[Debian]/", "mirror+file:/etc/apt/mirrors.txt"])
def test_a_source_that_debootstrap_cannot_read_is_no_mirror(uri: str) -> None:
    """Without a web mirror the error names the option that helps."""
    with pytest.raises(UsageError, match="--mirror URL"):
        choose_sources(parse_targets(target("bookworm", uri)), "bookworm", "Debian")


def test_settings_that_a_host_needs_to_reach_the_mirror_are_carried_over() -> None:
    """Proxies and certificate settings go along, everything else of the machine's apt stays behind."""
    dump = """\
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::local.example "DIRECT";
Acquire::https::CaInfo "/etc/ssl/company.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages:: "none";
DPkg::Post-Invoke:: "/usr/bin/test -e /x && echo \\"done\\"";
Dir::Cache "var/cache/apt";
"""
    settings = carried_settings(dump, {})
    assert dict(settings) == {
        "Acquire::http::Proxy": "http://proxy.example:3128",
        "Acquire::http::Proxy::local.example": "DIRECT",
        "Acquire::https::CaInfo": "/etc/ssl/company.pem",
        "Acquire::Check-Valid-Until": "false",
    }
    sources = choose_sources(parse_targets(DEBIAN), "bookworm", "Debian", settings=settings)
    assert sources.proxies == {"http_proxy": "http://proxy.example:3128"}
    assert 'Acquire::http::Proxy "http://proxy.example:3128";\n' in sources.apt_conf


def test_a_proxy_of_the_environment_counts_where_apt_names_none() -> None:
    """What apt itself is told goes first, as it does for apt."""
    environment = {"http_proxy": "http://env.example:8080", "https_proxy": "http://env.example:8443"}
    settings = dict(carried_settings('Acquire::http::Proxy "http://apt.example:3142";', environment))
    assert settings == {
        "Acquire::http::Proxy": "http://apt.example:3142",
        "Acquire::https::Proxy": "http://env.example:8443",
    }


def test_a_proxy_on_the_machine_is_reached_through_the_bridge() -> None:
    """127.0.0.1 inside a host is the host: the machine's proxy has the gateway's address there."""
    dump = 'Acquire::http::Proxy "http://me:word@127.0.0.1:3142/";'
    assert carried_settings(dump, {}, GATEWAY) == (("Acquire::http::Proxy", "http://me:word@10.142.0.1:3142/"),)
