"""One stand-in of many: which one, and of which version, is said in `standin.json` beside this file."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
from importlib import import_module
from pathlib import Path

from standin.refusal import Refusal

MODULES = {
    "kube-apiserver": "kube_apiserver",
    "kube-controller-manager": "control",
    "kube-scheduler": "control",
    "kubectl": "kubectl",
    "kubelet": "kubelet",
    "ovnkube": "ovnkube",
}


def run(component: str, version: str, words: list[str]) -> int:
    """Be the component; its exit status."""
    if words in (["--version"], ["version"], ["version", "--client"]):
        print(f"{component} {version} (a stand-in for tests, not the real program)")
        return 0
    if component in MODULES:
        # Each has one module of its own; a kubectl that loads the servers' too takes twice as long.
        return int(import_module(f"standin.{MODULES[component]}").main(component, version, words))
    if os.environ.get("CNI_COMMAND") != "VERSION":
        raise Refusal("a stand-in gives no pod an address")
    print(json.dumps({"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}))
    return 0


def main() -> int:
    """Read who this is, and be it."""
    who = json.loads(pkgutil.get_data("standin", "standin.json") or b"{}")
    # What lists of processes and ports call it: not the name of its interpreter.
    Path("/proc/self/comm").write_text(who["component"][:15])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        return run(who["component"], who["version"], sys.argv[1:])
    except Refusal as refusal:
        print(f"{who['component']} (stand-in): refused: {refusal}", file=sys.stderr)
        return 2 if who["component"] == "kubectl" and "diff" in sys.argv else 1


if __name__ == "__main__":
    sys.exit(main())
