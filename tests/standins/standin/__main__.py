"""One stand-in of many: which one, and of which version, is said in `standin.json` beside this file."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys

from standin import control, kube_apiserver, kubectl, kubelet, ovnkube
from standin.refusal import Refusal

PORTS = {"kube-controller-manager": 10257, "kube-scheduler": 10259}


def run(component: str, version: str, words: list[str]) -> int:
    """Be the component; its exit status."""
    if words in (["--version"], ["version"], ["version", "--client"]):
        print(f"{component} {version} (a stand-in for tests, not the real program)")
        return 0
    if component == "kubectl":
        return kubectl.main(words)
    if component in PORTS:
        control.main(component, PORTS[component], words)
    elif component == "kube-apiserver":
        kube_apiserver.main(words, version)
    elif component == "kubelet":
        kubelet.main(words, version)
    elif component == "ovnkube":
        ovnkube.main(words)
    elif os.environ.get("CNI_COMMAND") == "VERSION":
        print(json.dumps({"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}))
    else:
        raise Refusal("a stand-in gives no pod an address")
    return 0


def main() -> int:
    """Read who this is, and be it."""
    who = json.loads(pkgutil.get_data("standin", "standin.json") or b"{}")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        return run(who["component"], who["version"], sys.argv[1:])
    except Refusal as refusal:
        print(f"{who['component']} (stand-in): refused: {refusal}", file=sys.stderr)
        return 2 if who["component"] == "kubectl" else 1


if __name__ == "__main__":
    sys.exit(main())
