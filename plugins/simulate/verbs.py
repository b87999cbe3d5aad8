"""The whole simulated vocabulary: a twin for every verb of the library."""

from __future__ import annotations

from plugins.simulate import (
    verbs_artifacts,
    verbs_cluster,
    verbs_facts,
    verbs_files,
    verbs_inspect,
    verbs_kubernetes,
    verbs_lock,
    verbs_network,
    verbs_nodes,
    verbs_ovn,
    verbs_ovs,
    verbs_pods,
    verbs_probe,
    verbs_reboot,
    verbs_system,
    verbs_traffic,
)
from plugins.simulate.vocabulary import Verb

VERBS: dict[str, Verb] = {
    **verbs_files.VERBS,
    **verbs_system.VERBS,
    **verbs_reboot.VERBS,
    **verbs_artifacts.VERBS,
    **verbs_lock.VERBS,
    **verbs_facts.VERBS,
    **verbs_probe.VERBS,
    **verbs_ovs.VERBS,
    **verbs_ovn.VERBS,
    **verbs_network.VERBS,
    **verbs_inspect.VERBS,
    **verbs_traffic.VERBS,
    **verbs_kubernetes.VERBS,
    **verbs_nodes.VERBS,
    **verbs_cluster.VERBS,
    **verbs_pods.VERBS,
}
