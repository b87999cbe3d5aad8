"""Every script that a runbook sends, as it is sent: shellcheck finds nothing, and bash, or a grammar, reads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from nornir.core.plugins.connections import ConnectionPluginRegister
from powershell_grammar import errors

from plugins.artifacts.pins import lock_file, save_pins
from plugins.connections import memory
from plugins.connections.base import Completed, Shell
from plugins.inventory.model import Role
from plugins.releases import SHIPPED, load_release
from plugins.runner import run
from plugins.scripts import libraries
from plugins.selection import Options
from plugins.simulate.layout import made_up_pins
from plugins.simulate.windows.script import read_script
from plugins.stages import LINUX_ROLES
from plugins.windows import BOOT_SCRIPT
from runbooks import bootstrap, verify

SHELLCHECK = Path(sys.executable).parent / "shellcheck"
SENT: dict[str, str] = {}
SENT_TO_WINDOWS: dict[str, str] = {}


class RecordingShell:
    """An in-memory shell that keeps every script by its stage and its body's verbs."""

    def __init__(self, inner: memory.MemoryShell) -> None:
        self._inner = inner
        self.close = inner.close

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Keep the script, then run it."""
        keep(script)
        return self._inner.run(script, deadline=deadline, on_line=on_line)

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> memory.MemoryHolder:
        """Keep the script, then hold it."""
        keep(script)
        return self._inner.hold(script, on_line=on_line)


def keep(script: bytes) -> None:
    text = script.decode()
    windows = "$Steps = @{" in text
    settings = r"^\$Steps = .*Owner = '.*, ([^,']+)';" if windows else r"^STEPS_MARK=.*STEPS_OWNER='.*, ([^,']+)'$"
    stage = re.search(settings, text, re.MULTILINE)
    verbs = re.findall(r"^([a-z_]+)\b", text.split("#--- body\n")[1].split("#--- end\n")[0], re.MULTILINE)
    assert stage is not None
    (SENT_TO_WINDOWS if windows else SENT).setdefault(f"{stage[1]}: {' '.join(dict.fromkeys(verbs))}", text)


class Recording(memory.Memory):
    """The in-memory connection, with a shell that keeps what it is given."""

    def open(self, *args: object, **kwargs: object) -> None:
        """Open the connection and wrap its shell."""
        super().open(*args, **kwargs)
        self.connection: Shell = RecordingShell(self.connection)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give all scripts of a bootstrap with a reboot, and of a verification with traffic, on both datapaths."""
    folder = tmp_path_factory.mktemp("inventory")
    roles = {"master-1": "master", "linux-1": "linux", "linux-2": "linux", "windows-1": "windows"}
    hosts = {
        name: {
            "hostname": f"10.142.0.{number}",
            "groups": [role],
            "data": {"datapath": "netdev" if name == "linux-2" else "system"},
        }
        for number, (name, role) in enumerate(roles.items(), 2)
    }
    cluster = {
        "name": "recorded",
        "pod_network": "10.244.0.0/16",
        "service_network": "10.100.0.0/16",
        "dns_address": "10.100.0.10",
        "hybrid_network": "10.160.0.0/16",
    }
    (folder / "hosts.yaml").write_text(yaml.safe_dump(hosts))
    (folder / "groups.yaml").write_text(yaml.safe_dump({"master": {}, "linux": {}, "windows": {}}))
    (folder / "defaults.yaml").write_text(yaml.safe_dump({"data": {"transport": "memory", "cluster": cluster}}))
    save_pins(made_up_pins(load_release("current", SHIPPED)), lock_file("current", folder), "the tests")
    ConnectionPluginRegister.available.pop("runbooks-memory", None)
    ConnectionPluginRegister.register("runbooks-memory", Recording)
    with pytest.MonkeyPatch.context() as patch, memory.simulated_hosts(faults=["linux-1:want-reboot:times=1"]):
        patch.setenv("OVN_RUNBOOKS_STATE", str(folder / "state"))
        assert run(bootstrap.RUNBOOK, Options(inventory=folder, roles=("master", "linux"))) == 0
        # What Windows hosts need is in no registry.
        assert run(bootstrap.RUNBOOK, Options(inventory=folder, mirror="http://mirror.simulated")) == 0
        assert run(verify.TRAFFIC, Options(inventory=folder)) == 0
    yield SENT
    ConnectionPluginRegister.available.pop("runbooks-memory", None)


def check(text: str) -> str:
    # SC2329: a library has functions that one script does not call.
    command = [SHELLCHECK, "--shell=bash", "--exclude=SC2329", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_every_stage_has_sent_its_script(sent: dict[str, str]) -> None:
    """Nothing is left out of what the other tests look at."""
    stages = {
        stage.name
        for runbook in (bootstrap.RUNBOOK, verify.TRAFFIC)
        for stage in runbook.stages
        if set(stage.roles) & set(LINUX_ROLES)
    }
    seen = {name.split(":")[0] for name in sent}
    assert stages - seen == {"verify", "verify-node"}, "these compare in Python and send nothing"
    verbs = {verb for name in sent for verb in name.split(": ")[1].split()}
    assert {"reboot_now", "network_confirm", "hold_lock", "kernel_module", "ovs_userspace_tso"} <= verbs
    assert {"userspace_nic", "account_token", "node_labels", "artifact_from_image", "pod_reaches"} <= verbs


def test_a_grammar_of_powershell_knows_every_script(sent: dict[str, str]) -> None:  # noqa: ARG001  # which fills both
    """Each stage of Windows hosts has sent one, the reboot's among them, and none has a node that is an error."""
    stages = {stage.name for stage in bootstrap.RUNBOOK.stages if Role.WINDOWS in stage.roles}
    seen = {name.split(":")[0] for name in SENT_TO_WINDOWS}
    without = {"registered", "verify-windows"}  # the master awaits the node; the other compares in Python
    assert stages - seen == without, "these send nothing"
    verbs = {verb for name in SENT_TO_WINDOWS for verb in name.split(": ")[1].split()}
    assert {"gather", "reboot_now", "windows_feature", "firewall_rule", "secret_file", "archive", "service"} <= verbs
    for name, text in SENT_TO_WINDOWS.items():
        assert errors(text) == [], name
    kept = [text for name, text in SENT_TO_WINDOWS.items() if name.startswith("kube-proxy:")]
    words = [call.arguments for text in kept for call in read_script(text.encode()).calls if call.verb == "file"]
    scripts = [content for path, content in words if path == BOOT_SCRIPT]
    assert scripts, "what a host runs at boot is a script of its own"
    assert [error for text in scripts for error in errors(text)] == []


def test_shellcheck_finds_nothing_in_any_script(sent: dict[str, str]) -> None:
    """Each script as it travels, library and body."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = dict(zip(sent, pool.map(check, sent.values()), strict=True))
    assert not {name: report for name, report in reports.items() if report}


def test_bash_reads_every_script(sent: dict[str, str]) -> None:
    """No script has a syntax error, whatever values it was rendered with."""
    for name, text in sent.items():
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"


def test_shellcheck_finds_nothing_in_the_library() -> None:
    """Verbs that no runbook uses yet are held to the same."""
    assert not check(
        "\n".join(["STEPS_MARK=m STEPS_DRY_RUN=0 STEPS_WAIT=1 STEPS_PATHS='' STEPS_OWNER=o", *libraries().values()])
    )
