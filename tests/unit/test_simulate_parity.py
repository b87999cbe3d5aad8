"""Simulated verbs against the real library: the same bodies, one after the other, must say the same.

The library runs in a real bash, in a mount namespace of its own. Files are real; dpkg, apt-get, systemctl and
modprobe are small programs with a state of their own, as nothing may be installed on the machine that tests.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from plugins.connections import memory
from plugins.inventory.model import HostSettings
from plugins.scripts import assemble, quote, verbs
from plugins.simulate.verbs import VERBS
from plugins.steps import End, Event, Fact, Output, Step, parse_line

MARK = "@feedc0defeedc0de "
NOW = '$(date -u "+%a %F %T.%6N UTC")'
TOOLS = {
    "dpkg-query": 'cat "$S/packages"',
    "dpkg": ":",
    "apt-get": """
case " $* " in *' update '* | *' --fix-broken '*) exit 0 ;; esac
while [ "$1" != -- ]; do shift; done
shift
for want; do
  name=${want%%=*} version=1.0-simulated
  case $want in *=*) version=$(printf %s "${want#*=}" | sed 's/[*]/0-simulated/') ;; esac
  sed -i "/^ii  $name /d" "$S/packages"
  echo "ii  $name $version" >>"$S/packages"
  [ "$name" != ovn-host ] || for unit in ovn-host:enabled ovn-controller:static; do
    printf '%s\\n' active "${unit#*:}" "NOW" >"$S/units/${unit%:*}"
  done
done""",
    "systemctl": """
verb=$1
case $verb in
  daemon-reload) ;;
  show)
    for last; do :; done
    for file in "$S"/units/*; do
      name=${file##*/}.service
      case $name in $last) ;; *) continue ;; esac
      { read -r active; read -r enabled; read -r since; } <"$file"
      printf '%s\\n' "Id=$name" "ActiveState=$active" "UnitFileState=$enabled" "InactiveExitTimestamp=$since" ''
    done ;;
  *)
    for last; do :; done
    for name in "${last%.service}" $([ "$last" != ovn-host.service ] || echo ovn-controller); do
      { read -r active; read -r enabled; read -r since; } <"$S/units/$name"
      case $verb in
        enable) [ "$enabled" = static ] || enabled=enabled ;;
        disable) [ "$enabled" = static ] || enabled=disabled ;;
        start | restart) active=active since="NOW" ;;
        stop) active=inactive ;;
      esac
      printf '%s\\n' "$active" "$enabled" "$since" >"$S/units/$name"
    done ;;
esac""",
    # What an address holds is its own last part; an archive's one member is called so.
    "curl": """
for last; do if [ "$before" = --output ]; then out=$last; fi; before=$last; done
name=${last##*/}
case $name in
  *.tar) mkdir -p "$S/web" && printf %s "$name" >"$S/web/${name%.tar}" &&
    tar --create --file "$out" --mtime=@0 --owner=0 --group=0 --directory "$S/web" "${name%.tar}" ;;
  *) printf %s "$name" >"$out" ;;
esac""",
    "modprobe": 'shift; mkdir -p "/sys/module/$(printf %s "$1" | tr - _)"',
}


def packed(name: str) -> bytes:
    """Give the archive that the machine's curl finds at an address that ends so."""
    made = "S=$(mktemp -d) && cd $S && printf %s $0 >${0%.tar} && tar --create --mtime=@0 --owner=0 --group=0 ${0%.tar}"
    return subprocess.run(["sh", "-c", made, name], capture_output=True, check=True).stdout


def at(name: str, architecture: str = "amd64", place: str = "https://example.org/") -> str:
    """Give the words of a verb for a download: architecture, SHA-256, address."""
    content = packed(name) if name.endswith(".tar") else name.encode()
    return f"{architecture} {sha256(content).hexdigest()} {place}{name}"


ODD = "quotes ' \" and \\ and $HOME & `x`\n\ttab, ümläut\n"
SEQUENCES = {
    "file": [
        "file /srv/a 0644 root:root 'one\ntwo\nthree\n'",
        "file /srv/a 0644 root:root 'one\n2\nthree\n'\nfile /srv/deep/er/b 600 root:root x",
        f"file /srv/a 0600 root:root {quote(ODD)}",
        f"file /srv/a 0640 root:root {quote(ODD)}",
        "file /srv/a 0640 root:daemon 'no newline at the end'",
        "file /srv/a 0640 root:daemon ''\nfile /srv/new 0644 root:root ''",
        "file /srv/deep 0644 root:root x",
    ],
    "secret_file": [
        "secret_file /srv/key 0600 root:root first",
        "secret_file /srv/key 0600 root:root second",
        "secret_file /srv/key 0640 root:root second",
    ],
    "line": [
        "line /srv/list one",
        "line /srv/list two\nline /srv/list one",
        "file /srv/list 0600 root:root 'no newline'\nline /srv/list added\nline /srv/list newline",
        "file /srv/list 0600 root:root ''\nline /srv/list first",
    ],
    "directory": [
        "directory /srv/d/e 0750 root:root",
        "directory /srv/d/e 0755 root:daemon",
        "file /srv/f 0644 root:root x\ndirectory /srv/f 0755 root:root",
    ],
    "link": [
        "link /srv/l/here there",
        "link /srv/l/here elsewhere",
        "file /srv/f 0644 root:root x\nlink /srv/l/f ../f\nline /srv/l/f y",
        "link /srv/f x",
    ],
    "absent": [
        "directory /srv/d 0755 root:root\nfile /srv/d/f 0644 root:root x\nabsent /srv/d\nabsent /srv/none",
        "file /srv/d/f 0644 root:root x",
    ],
    "package": [
        "package a b=2.5\npackage 'c=1.*'",
        "package 'c=2.*' a",
        "package 'c=2.0*'",
    ],
    "service": [
        "service ovn-host enabled running",
        "package ovn-host\nservice ovn-host enabled running\nservice ovn-controller enabled running",
        "service ovn-host disabled stopped\nservice ovn-host disabled stopped",
        "service ovn-host running",
        "service ovn-host sleeping",
        "service none running",
    ],
    "restart_on": [
        "restart_on ovn-host /etc/none",
        "package ovn-host\nrestart_on ovn-host /srv/conf /srv/other",
        "file /srv/conf 0644 root:root 1\nrestart_on ovn-host /srv/conf /srv/other\nrestart_on ovn-host /srv/conf",
        "service ovn-host stopped\nrestart_on ovn-host /srv/conf",
    ],
    "kernel_module": [
        "kernel_module geneve nf-conntrack",
        "kernel_module nf-conntrack openvswitch",
    ],
    "sysctl": [
        "sysctl pods net/ipv4/ip_forward=1",
        "sysctl pods net/ipv4/ip_forward=1 net/ipv4/conf/eth0/rp_filter=1",
        "sysctl other net/ipv4/ip_forward=1\nsysctl pods net/ipv4/ip_forward=0",
        "sysctl pods net/none/at_all=1",
    ],
    "show_file": [
        "show_file text /srv/none",
        f"file /srv/a 0644 root:root {quote(ODD)}\nlink /srv/b a\nshow_file text /srv/b\nshow_file folder /srv",
    ],
    "artifact": [
        f"artifact /srv/a 0755 {at('one')} {at('two', 'arm64')}",
        f"artifact /srv/a 0700 {at('one')}\nartifact /srv/b/c 0755 {at('two')}",
        f"artifact /srv/a 0755 {at('two')}",
        f"package ovn-host\nrestart_on ovn-host /srv/a\nartifact /srv/a 0755 {at('three')}\nrestart_on ovn-host /srv/a",
        f"link /srv/l a\nartifact /srv/l 0755 {at('one')}",
        f"artifact /srv/a 0755 {at('one', 'arm64')}",
        f"directory /srv/d 0755 root:root\nartifact /srv/d 0755 {at('one')}",
    ],
    "artifacts_sent": [
        f"artifact /srv/a 0755 {at('one', place='push:')}\nartifact /b 0755 {at('two', place='push:')}\nartifacts_sent",
        "artifacts_sent",
        f"artifact /srv/a 0755 {at('one')}\nartifact /srv/a 0755 {at('one', place='push:')}\nartifacts_sent",
        f"artifact_archive /srv/x 0755 one {at('one.tar', place='push:')}\nartifacts_sent",
    ],
    "artifact_archive": [
        f"artifact_archive /srv/x 0755 one {at('one.tar')}",
        f"artifact_archive /srv/x 0644 one {at('one.tar')}\nartifact_archive /srv/y 0755 two {at('two.tar')}",
        f"absent /srv/x/one\nartifact_archive /srv/x 0644 one {at('one.tar')}",
        f"artifact_archive /srv/x 0755 one {at('one.tar', 'arm64')}",
    ],
    "ensure": [
        "ensure 'make it' 'test -e /srv/made' 'touch /srv/made'\nensure 'and it' 'test -e /srv/2' 'touch /srv/2'",
    ],
    "reboot_when": [
        "reboot_when needed",
        "reboot_when needed geneve openvswitch",
        "reboot_when never",
        "file /srv/a 0644 root:root x\nreboot_when always\nline /srv/a y",
    ],
}
# Their twins need a network, a database or a second script; the tests of tests/simulated cover them.
ELSEWHERE = {
    "reboot_now",
    "hold_lock",
    "listen",
    "unlisten",
    "probe",
    "gather",
    "nic_bridge",
    "userspace_nic",
    "network_confirm",
    "receive",
    "artifact_image",
    "artifact_from_image",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine to be, as folders that a mount namespace puts in their places."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    settings = "sys/ipv4/conf/eth0"
    for folder in ("srv", "run", "modules-load.d", "sysctl.d", "module", "modules", settings, "bin", "downloads"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sys/ipv4/ip_forward").write_text("0\n")
    (tmp_path / settings / "rp_filter").write_text("2\n")
    (tmp_path / "state" / "units").mkdir(parents=True)
    (tmp_path / "state" / "packages").write_text("ii  bash 5.2\n")
    for name, text in TOOLS.items():
        tool = tmp_path / "bin" / name
        tool.write_text(f"#!/bin/sh\nS={tmp_path}/state\n{text.replace('NOW', NOW)}\n")
        tool.chmod(0o755)
    return tmp_path


def real(machine: Path, script: str) -> list[bytes]:
    """Run a script in a real bash on the machine."""
    places = {
        "srv": "/srv",
        "run": "/run/ovn-runbooks",
        "modules-load.d": "/etc/modules-load.d",
        "sysctl.d": "/etc/sysctl.d",
        "sys": "/proc/sys/net",
        "module": "/sys/module",
        "modules": "/lib/modules",
        "bin": "/usr/local/sbin",
        "downloads": "/var/lib/ovn-runbooks",
    }
    mounts = [f"mkdir -p {place} && mount --bind {machine / name} {place}" for name, place in places.items()]
    inside = " && ".join([*mounts, 'eval "$(cat)"'])
    command = ["unshare", "--mount", "bash", "-c", inside]
    done = subprocess.run(command, input=script.encode(), capture_output=True, timeout=60, check=False)
    return done.stdout.removesuffix(b"\n").split(b"\n")


def told(lines: list[bytes]) -> list[Event]:
    """Give what a script said, line by line, but for times, boot ids and commands' output."""
    events = [parse_line(line, MARK) for line in lines]
    assert isinstance(events[-1], End)
    return [_plain(event) for event in events if not isinstance(event, Output)]


def _plain(event: Event) -> Event:
    match event:
        case Step():
            return replace(event, seconds=0.0, output="")
        case Fact("boot_id", _):
            return Fact("boot_id", "")
        case _:
            return event


@pytest.mark.parametrize("verb", SEQUENCES)
def test_the_simulated_verb_says_what_the_real_one_says(verb: str, machine: Path) -> None:
    """Names, statuses, diffs, messages and questions are the same, in a dry run, in a run and in the next."""
    settings = HostSettings(name="linux-1", role="linux", address="10.142.0.3", transport="memory")
    with memory.simulated_hosts():
        connection = memory.Memory()
        connection.open(None, None, None, None, None, {"settings": settings})
        for body in SEQUENCES[verb]:
            for dry_run in (True, False, False, True):
                script = assemble(body, marker=MARK, dry_run=dry_run, wait=5, owner="test")
                lines: list[bytes] = []
                connection.connection.run(script.encode(), deadline=20, on_line=lines.append)
                assert told(lines) == told(real(machine, script)), f"{body} (dry run: {dry_run})"
        connection.close()


def test_every_verb_has_a_simulated_twin() -> None:
    """The vocabulary of the library and that of the simulated hosts cannot drift apart."""
    assert set(VERBS) == set(verbs())


def test_every_verb_is_compared_or_named() -> None:
    """A new verb is either compared with its twin here, or named as one that is not."""
    servers = {"ovs", "inspect", "traffic", "kubernetes", "cluster", "pods"}  # databases, or an API
    asking = {verb for verb, library in verbs().items() if library in servers}
    assert set(SEQUENCES) | ELSEWHERE | asking == set(verbs())
