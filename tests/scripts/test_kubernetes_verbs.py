"""The Kubernetes verbs with a real bash, and small programs in the place of kubectl, curl and systemd's tools."""

from __future__ import annotations

import base64
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from scripting import Run, run_body

from plugins.scripts import quote

# What they answer lies in files of the folder $S, and what they were asked is added to $S/asked.
TOOLS = {
    "kubectl": """
[ "$NO_PROXY $no_proxy" = '* *' ] || { echo 'the proxy was asked' >&2; exit 1; }
case " $* " in
  *" diff "*)
    cat >/dev/null
    cat "$S/once" 2>/dev/null && { rm "$S/once"; exit 1; }
    cat "$S/diff" 2>/dev/null && exit 1
    [ -e "$S/applied" ] || { cat "$S/error" >&2; exit 3; } ;;
  *" apply "*)
    [ ! -e "$S/refuse" ] || { rm "$S/refuse"; echo 'namespaces "x" not found' >&2; exit 1; }
    cat >"$S/applied"; rm -f "$S/diff" ;;
  *" label "*) shift 4; for word; do case $word in *=* | -*) ;; *) printf '%s ' "$word" >>"$S/labelled" ;; esac; done ;;
  *" taint "*) shift 5; echo "$1 ${2%:*} " >"$S/labelled" ;;
  *" get secret "*) cat "$S/token" ;;
  *" get nodes "*) cat "$S/labelled" 2>/dev/null || { cat "$S/error" >&2; exit 1; } ;;
  *" get node "*)
    cat "$S/first" 2>/dev/null && { rm "$S/first"; exit 0; }
    cat "$S/node" 2>/dev/null || { cat "$S/error" >&2; exit 1; } ;;
  *) exit 9 ;;
esac""",
    "curl": 'cat "$S/curl" 2>/dev/null || exit 0; exit 7',
    # How many starts of ovnkube are still needed until the port is there.
    "ovs-vsctl": '[ "$(cat "$S/starts" 2>/dev/null)" = 0 ] && echo br-ext',
    "systemctl": """case $* in
  "restart ovnkube") read -r left <"$S/starts" && echo $((left - 1)) >"$S/starts" ;;
  *Monotonic*) cat "$S/since" ;;
  *NRestarts*) cat "$S/restarts" 2>/dev/null || echo 0; [ ! -e "$S/restarts" ] || echo 9 >"$S/restarts" ;;
  *) cat "$S/state" ;;
esac""",
    "journalctl": 'for last; do :; done; echo "last words of $last"',
}
Place = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder with their answers."""
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "error").write_text("first line\nThe connection to the server was refused\n")
    (tmp_path / "answers" / "state").write_text("active\n")
    return tmp_path / "answers"


@pytest.fixture
def script(folder: Path, tmp_path: Path) -> Run:
    """Run a body where these programs are."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    (tmp_path / "bin").mkdir()
    (tmp_path / "run").mkdir()
    for name, text in TOOLS.items():
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nS={folder}\necho "{name} $*" >>"$S/asked"\n{text}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    mounts = f"mount --bind {tmp_path}/bin /usr/local/sbin &&"
    return partial(run_body, tmp_path / "run", prefix=mounts)


def asked(folder: Path) -> str:
    file = folder / "asked"
    return file.read_text() if file.exists() else ""


HEALTHY = "healthy etcd https://127.0.0.1:2379/health etcd {} /ca.pem /client.pem /client-key.pem\n"


def test_a_service_that_answers_is_well(script: Run, folder: Path) -> None:
    """It is asked once, with the authority and the client's pair."""
    assert script(HEALTHY.format(60)).statuses == ["ok"]
    assert asked(folder).count("curl ") == 1
    assert "--cacert /ca.pem --cert /client.pem --key /client-key.pem -- https://127.0.0.1:2379/health" in asked(folder)


def test_a_service_that_does_not_answer_has_the_last_word(script: Run, folder: Path) -> None:
    """What curl said, for how long, and the lines that the service wrote; a dry run looks once."""
    (folder / "curl").write_text("curl: (7) Connection refused")
    said = script(HEALTHY.format(1))
    assert said.statuses == ["failed"]
    assert said.steps[0].message == "https://127.0.0.1:2379/health says: curl: (7) Connection refused after 1 s"
    assert said.steps[0].output == "last words of etcd.service"
    (folder / "asked").unlink()
    assert script(HEALTHY.format(60), dry_run=True).statuses == ["would-change"]
    assert asked(folder).count("curl ") == 1


def test_a_service_that_has_failed_is_not_waited_for(script: Run, folder: Path) -> None:
    """Systemd has given it up: the minute that it had is not spent."""
    (folder / "curl").write_text("curl: (7) Connection refused")
    (folder / "state").write_text("failed\n")
    began = time.monotonic()
    said = script(HEALTHY.format(60))
    assert said.statuses == ["failed"]
    assert said.steps[0].message.endswith("Connection refused, and etcd has failed")
    assert time.monotonic() - began < 20


def test_a_service_that_ends_again_and_again_is_not_waited_for(script: Run, folder: Path) -> None:
    """Systemd starts it over and over, which would go on until the deadline."""
    (folder / "curl").write_text("curl: (7) Connection refused")
    (folder / "restarts").write_text("0\n")
    began = time.monotonic()
    said = script(HEALTHY.format(60))
    assert said.steps[0].message.endswith("Connection refused, and etcd has ended by itself 9 times")
    assert said.steps[0].output == "last words of etcd.service"
    assert time.monotonic() - began < 20


TEXT = "kind: Secret\ndata: {a: b}\n"
MANIFEST = f"manifest one /admin {quote(TEXT)}\n"


def test_objects_are_applied_once(script: Run, folder: Path) -> None:
    """What differs is applied and compared again; the text goes by standard input, where no process list shows it."""
    (folder / "diff").write_text("-old\n+new\n")
    said = script(MANIFEST, dry_run=True)
    assert (said.statuses, said.steps[0].diff) == (["would-change"], "-old\n+new\n")
    assert not (folder / "applied").exists()
    assert script(MANIFEST).statuses == ["changed"]
    assert (folder / "applied").read_text() == f"{TEXT}\n"
    assert script(MANIFEST).statuses == ["ok"]
    assert "Secret" not in asked(folder)
    assert "--server-side --force-conflicts --field-manager=ovn-runbooks" in asked(folder)
    assert "--cache-dir=/run/ovn-runbooks/kube-cache" in asked(folder)


def test_a_status_that_is_written_meanwhile_is_no_difference(script: Run, folder: Path) -> None:
    """What is there already is compared again when it differs; what is not there yet differs for certain."""
    (folder / "applied").touch()
    (folder / "once").write_text("+++ merged\n@@ -7,1 +7,1 @@\n-replicas: 1\n+replicas: 2\n")
    assert script(MANIFEST).statuses == ["ok"]
    assert asked(folder).count(" diff ") == 2
    (folder / "diff").write_text("+++ merged\n@@ -0,0 +1,2 @@\n+new\n")
    assert script(MANIFEST, dry_run=True).statuses == ["would-change"]
    assert asked(folder).count(" diff ") == 3


def test_an_object_that_comes_before_its_namespace_is_tried_again(script: Run, folder: Path) -> None:
    """The namespace is being made by the same text."""
    (folder / "diff").write_text("+new\n")
    (folder / "refuse").touch()
    assert script(MANIFEST).statuses == ["changed"]
    assert asked(folder).count(" apply ") == 2


def test_an_api_that_does_not_answer_is_quoted(script: Run, folder: Path) -> None:
    """A run fails with kubectl's last line, a dry run would change, and nothing is applied."""
    said = script(MANIFEST)
    assert said.statuses == ["failed"]
    assert said.steps[0].message.endswith("how the objects differ: The connection to the server was refused")
    assert script(MANIFEST, dry_run=True).statuses == ["would-change"]
    assert not (folder / "applied").exists()


TOKEN = "account_token node /admin ovn node 1\n"


def test_a_token_is_a_secret_fact(script: Run, folder: Path) -> None:
    """It comes decoded, and stands neither among the facts nor in what goes to the log."""
    (folder / "token").write_text(base64.b64encode(b"eyJ.token").decode())
    for dry_run in (False, True):
        said = script(TOKEN, dry_run=dry_run)
        assert (said.statuses, said.transcript.facts) == (["ok"], {})
        assert said.transcript.secrets["node"].reveal() == "eyJ.token"
        assert "eyJ.token" not in said.stderr
        assert "eyJ.token" not in asked(folder)


def test_a_token_that_nobody_makes_fails(script: Run, folder: Path) -> None:
    """A dry run would have it made."""
    (folder / "token").write_text("")
    said = script(TOKEN)
    assert (said.statuses, said.steps[0].message) == (["failed"], "secret ovn/node holds no token after 1 s")
    assert script(TOKEN, dry_run=True).statuses == ["would-change"]
    assert said.transcript.secrets == {}


@pytest.mark.parametrize(
    ("verb", "node", "status"),
    [
        ("node_registered", "w1 False KubeletNotReady: no network", "ok"),
        ("node_ready", "w1 False KubeletNotReady: no network", "failed"),
        ("node_ready", "w1 True KubeletReady: well", "ok"),
        ("node_ready", "w12 True KubeletReady: well", "failed"),
    ],
)
def test_a_node_is_what_the_api_says(script: Run, folder: Path, verb: str, node: str, status: str) -> None:
    """Registered is one that it knows; ready is one that it calls so."""
    (folder / "node").write_text(node)
    said = script(f"{verb} /kubelet w1 1\n")
    assert said.statuses == [status]
    if status == "failed":
        assert said.steps[0].message == f"the API says: {node} after 1 s"
        assert "last words of kubelet.service" in said.steps[0].output
        assert "last words of ovnkube.service" in said.steps[0].output


NO_PORT = "br-ext has no port ext-vxlan after 2 s"
UNTOLD = f"{NO_PORT}; the master's ovnkube has not told the node its gateway's MAC address"


@pytest.mark.parametrize(
    ("starts", "mac", "statuses", "message"),
    [
        (0, "", ["ok"], ""),
        (1, "0a:58:0a:f4:02:03", ["changed"], "ovnkube was started anew"),
        (9, "0a:58:0a:f4:02:03", ["failed"], NO_PORT),
        (1, "", ["failed"], UNTOLD),
    ],
)
def test_tunnels_to_windows_hosts_may_take_another_start(
    script: Run, folder: Path, starts: int, mac: str, statuses: list[str], message: str
) -> None:
    """Where a node that has its MAC address has no port, ovnkube is started anew, once; a dry run only looks."""
    body = "hybrid_tunnels /kubelet w1 0 2\n"
    said = script(body, dry_run=True)
    assert said.statuses == ["would-change"]
    (folder / "starts").write_text(f"{starts}\n")
    (folder / "node").write_text(mac)
    said = script(body)
    assert (said.statuses, said.steps[0].message) == (statuses, message)
    assert ("last words of ovnkube.service" in said.steps[0].output) == (statuses == ["failed"])
    assert asked(folder).count("restart ovnkube") == (1 if starts and mac else 0)


def test_a_node_that_does_not_register_names_both_of_its_services(script: Run) -> None:
    """The kubelet's last lines, and those of what it runs pods with."""
    said = script("node_registered /kubelet w1 1\n")
    assert said.steps[0].message == "the API says: The connection to the server was refused after 1 s"
    assert said.steps[0].output == (
        "kubelet:\nlast words of kubelet.service\ncontainerd:\nlast words of containerd.service"
    )


NODE = '{{}}\n[]\n[]\n[{{"type": "DiskPressure","status": "False"}},{{"status": "{}","type": "Ready"}}]\nv1\n'


@pytest.mark.parametrize(("age", "seen"), [(1, "True"), (100, "False")])
def test_a_node_whose_ovnkube_has_just_started_is_looked_at_again(
    script: Run, folder: Path, age: int, seen: str
) -> None:
    """The kubelet may tell late that there was no network for a moment; later than that it means what it says."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    (folder / "since").write_text(f"{(up - age) * 1e6:.0f}\n")
    (folder / "first").write_text(NODE.format("False"))
    (folder / "node").write_text(NODE.format("True"))
    said = script("inspect_node /kubelet w1 kubelet\n")
    assert said.statuses == ["ok"]
    assert f'"status": "{seen}","type": "Ready"' in said.transcript.facts["node_conditions"]


def test_labels_are_set_once(script: Run, folder: Path) -> None:
    """On those that lack it, all in one go."""
    (folder / "labelled").write_text("w1 ")
    body = "node_labels /admin role/worker= w1 w2 w3\n"
    said = script(body, dry_run=True)
    assert (said.statuses, said.steps[0].diff) == (["would-change"], "+w2: role/worker=\n+w3: role/worker=\n")
    assert script(body).statuses == ["changed"]
    assert script(body).statuses == ["ok"]
    assert "label node w1 w2 w3 role/worker= --overwrite" in asked(folder)


def test_a_taint_that_was_taken_away_comes_back(script: Run, folder: Path) -> None:
    """Whatever other taints a node has, and whichever other node has this one."""
    body = "node_taint /admin role/master:NoSchedule w1\n"
    for others in ("w1  \n", "w1 role/master2 old.role/master \n", "w10 role/master \nw1  \n", "x-w1 role/master \n"):
        (folder / "labelled").write_text(others)
        said = script(body, dry_run=True)
        assert (said.statuses, said.steps[0].diff) == (["would-change"], "+w1: role/master:NoSchedule\n"), others
    for others in ("w1 role/master \n", "m  \nw1 a role/master b \n"):
        (folder / "labelled").write_text(others)
        assert script(body).statuses == ["ok"], others
    (folder / "labelled").write_text("w1  \n")
    assert script(body).statuses == ["changed"]
    assert "taint node w1 role/master:NoSchedule --overwrite" in asked(folder)


def test_without_kubectl_it_is_said(run: Run) -> None:
    """A dry run would, once it is there; a run names what is missing."""
    hidden = "for tool in $(type -ap kubectl); do mount --bind /dev/null $tool; done;"
    for body in (
        MANIFEST,
        TOKEN,
        "node_ready /kubelet w1 1\n",
        "node_labels /admin a= w1\n",
        "node_taint /admin a:b w1\n",
    ):
        assert run(body, dry_run=True, prefix=hidden).statuses == ["would-change"]
        said = run(body, prefix=hidden)
        assert (said.statuses, said.steps[0].message) == (["failed"], "kubectl is not installed")


FRESH_RUN = "mount -t tmpfs none /run && mkdir -p /run/ovn-runbooks && "
# Not every machine has systemd's folders, and none is to get a file there.
FRESH_SYSTEMD = "mkdir -p /etc/systemd && mount -t tmpfs none /etc/systemd && mkdir /etc/systemd/{network,system} && "


@pytest.mark.parametrize("resolved", [False, True])
def test_pods_ask_the_name_servers_behind_a_local_one(run: Run, tmp_path: Path, resolved: bool) -> None:
    """With systemd-resolved, the file with the network's own servers; else the host's own."""
    there = "mkdir -p /run/systemd/resolve && touch /run/systemd/resolve/resolv.conf && " if resolved else ""
    link = tmp_path / "resolv.conf"
    body = f"resolver_link {link}\n"
    assert [run(body, prefix=FRESH_RUN + there).statuses for _ in range(2)] == [["changed"], ["ok"]]
    assert link.readlink() == Path("/run/systemd/resolve/resolv.conf" if resolved else "/etc/resolv.conf")


def test_a_network_that_cannot_be_made_to_last_is_not_called_confirmed(run: Run, tmp_path: Path) -> None:
    """Where its file cannot be written, the guard stays, and takes the change back at the next boot."""
    state = "mkdir -p /run/ovn-runbooks/network /run/systemd/network && cd /run/ovn-runbooks/network && "
    state += "echo 'waiting token' >state && echo '[Match]' >/run/systemd/network/05-ovn-runbooks-eth0.network && "
    (tmp_path / "network").mkdir()
    readonly = f"mount --bind -o ro {tmp_path}/network /etc/systemd/network && "
    readonly += "mount -o remount,bind,ro /etc/systemd/network && "
    keep = f"trap 'cp /run/ovn-runbooks/network/state {tmp_path}/state' EXIT; "
    said = run("network_confirm token\n", prefix=FRESH_RUN + FRESH_SYSTEMD + state + readonly + keep)
    assert (said.statuses, said.steps[0].message) == (["failed"], "the network change could not be made to last")
    assert (tmp_path / "state").read_text() == "waiting token\n"


@pytest.mark.parametrize(
    "source", ["/run/systemd/network/10-netplan-eth0.network", "/etc/systemd/network/10-eth0.network"]
)
def test_boots_wait_for_the_bridge_where_netplan_waits_for_the_nic(run: Run, tmp_path: Path, source: str) -> None:
    """It names the NIC, which has no address any more, to who waits for the network; others do not."""
    text = f"# Made from {source} by ovn-runbooks: eth0 is a port of the OVS bridge breth0."
    state = "mkdir -p /run/ovn-runbooks/network /run/systemd/network && cd /run/ovn-runbooks/network && "
    state += f"echo 'waiting token' >state && echo '{text}' >/run/systemd/network/05-ovn-runbooks-eth0.network && "
    for folder in ("network", "system", "bin"):
        (tmp_path / folder).mkdir()
        if folder != "bin":
            state += f"mount --bind {tmp_path}/{folder} /etc/systemd/{folder} && "
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    tools = f"mount --bind {tmp_path}/bin /usr/local/sbin && "
    assert run("network_confirm token\n", prefix=tools + FRESH_RUN + FRESH_SYSTEMD + state).statuses == ["changed"]
    waiting = tmp_path / "system/systemd-networkd-wait-online.service.d/90-ovn-runbooks.conf"
    assert waiting.exists() == ("netplan" in source)
    if waiting.exists():
        assert waiting.read_text().endswith("\nExecStart=/lib/systemd/systemd-networkd-wait-online -i breth0\n")


def test_a_probe_that_could_not_be_taken_away_is_said(run: Run, tmp_path: Path) -> None:
    """Open vSwitch did not give up the port, so the namespace stays, too, and the step fails."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ovs-vsctl").write_text("#!/bin/sh\necho no answer\nexit 1\n")
    (tmp_path / "bin" / "ovs-vsctl").chmod(0o755)
    prefix = f"mount --bind {tmp_path}/bin /usr/local/sbin && {FRESH_RUN} mkdir -p /run/netns && "
    left = prefix + "touch /run/netns/ovn-runbooks-probe && "
    said = run("traffic_port_gone\n", prefix=left)
    assert said.statuses == ["failed"]
    assert said.steps[0].output.strip() == "no answer"
    assert run("traffic_port_gone\n", prefix=prefix).statuses == ["ok"]


def test_a_service_that_has_just_got_its_pod_is_asked_again(script: Run) -> None:
    """It is refused until then, and one question is lost; the next comes from another port, and is heard."""
    place = ("127.0.0.97", 53)
    askers = []

    def answer() -> None:
        time.sleep(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(place)
            server.settimeout(20)
            for _ in range(2):
                query, asker = server.recvfrom(512)
                askers.append(asker)
            head = query[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
            server.sendto(head + query[12:] + bytes.fromhex("c00c 0001 0001 0000 0005 0004 0a600001"), asker)

    thread = threading.Thread(target=answer)
    thread.start()
    said = script(f"inspect_name {place[0]} kubernetes.default\n")
    thread.join()
    assert said.transcript.facts == {"name": "10.96.0.1"}
    assert len(set(askers)) == 2
