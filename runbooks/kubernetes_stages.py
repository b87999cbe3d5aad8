"""The stages from an overlay to a cluster of Kubernetes: part of the bootstrap."""

from __future__ import annotations

from plugins.artifacts.ready import downloads_are_pinned
from plugins.inventory.model import Role
from plugins.stages import Need, Scope, Stage
from tasks.await_dns import await_dns
from tasks.await_node import await_node
from tasks.await_registration import await_registration
from tasks.await_windows_nodes import await_windows_nodes
from tasks.compare_cluster import compare_cluster
from tasks.compare_windows import compare_windows
from tasks.configure_runtime import configure_runtime
from tasks.deploy_dns import deploy_dns
from tasks.extract_image_files import extract_image_files
from tasks.gather_cluster import gather_cluster
from tasks.gather_windows import gather_windows
from tasks.grant_access import grant_access
from tasks.import_images import import_images
from tasks.install_artifacts import install_artifacts
from tasks.label_nodes import label_nodes
from tasks.start_control_plane import start_control_plane
from tasks.start_etcd import start_etcd
from tasks.start_hybrid_overlay import start_hybrid_overlay
from tasks.start_kube_proxy import start_kube_proxy
from tasks.start_kubelet import start_kubelet
from tasks.start_ovnkube import start_ovnkube

HOST, MASTER, ALL = Scope.HOST, Scope.MASTER, Scope.ALL

KUBERNETES = (
    Stage(
        "etcd",
        start_etcd,
        roles=(Role.MASTER,),
        kubernetes=True,
        needs=(
            Need("install", HOST, "etcd comes with the packages"),
            Need("network-checks", ALL, "others probe its ports and the API's before they are taken"),
            Need("certificates", HOST, "etcd listens with TLS"),
        ),
    ),
    Stage(
        "artifacts",
        install_artifacts,
        roles=tuple(Role),
        kubernetes=True,
        ready=downloads_are_pinned,
        needs=(
            Need("install", HOST, "curl and what it trusts come with the packages"),
            Need("protection", HOST, "Defender leaves the programs alone before they are there"),
        ),
    ),
    Stage(
        "control-plane",
        start_control_plane,
        roles=(Role.MASTER,),
        kubernetes=True,
        needs=(
            Need("artifacts", HOST, "its programs are downloaded"),
            Need("etcd", HOST, "the API server keeps everything in etcd"),
            Need("certificates", HOST, "each component has an identity of its own"),
        ),
    ),
    Stage(
        "runtime",
        configure_runtime,
        roles=tuple(Role),
        kubernetes=True,
        needs=(
            Need("install", HOST, "containerd comes with the packages"),
            Need("artifacts", HOST, "on Windows containerd is downloaded", roles=(Role.WINDOWS,)),
        ),
    ),
    Stage(
        "image-files",
        extract_image_files,
        kubernetes=True,
        needs=(Need("runtime", HOST, "containerd fetches the images"),),
    ),
    Stage(
        "kubelet",
        start_kubelet,
        roles=tuple(Role),
        kubernetes=True,
        needs=(
            Need("artifacts", HOST, "the kubelet is downloaded"),
            Need("runtime", HOST, "the kubelet asks its container runtime how it is"),
            Need("certificates", HOST, "a node has an identity of its own"),
            Need("bridge", HOST, "the node's address moves to the bridge, and the host may reboot for it"),
            Need("control-plane", MASTER, "a node registers with the API"),
        ),
    ),
    Stage(
        "access",
        grant_access,
        roles=(Role.MASTER,),
        kubernetes=True,
        needs=(Need("control-plane", HOST, "who may do what is told to the API"),),
    ),
    # A stage of its own, after access: a node registers while its host goes on.
    Stage(
        "registered",
        await_registration,
        roles=tuple(Role),
        kubernetes=True,
        needs=(Need("kubelet", HOST, "the kubelet registers its node"),),
    ),
    Stage(
        "ovnkube",
        start_ovnkube,
        kubernetes=True,
        needs=(
            Need("join", HOST, "pods are plugged into a chassis that has joined"),
            Need("image-files", HOST, "without a mirror, ovnkube itself comes out of an image"),
            Need("registered", HOST, "ovnkube writes on the host's own node object"),
            Need("access", MASTER, "ovnkube shows the token of its service account"),
        ),
    ),
    Stage(
        "dns",
        deploy_dns,
        roles=(Role.MASTER,),
        kubernetes=True,
        needs=(Need("control-plane", HOST, "the deployment is told to the API"),),
    ),
    Stage(
        "labels",
        label_nodes,
        roles=(Role.MASTER,),
        kubernetes=True,
        gathers="registered",
        after_changes=False,
        needs=(
            Need("control-plane", HOST, "labels are told to the API"),
            Need("registered", ALL, "a node is labelled once the API knows it"),
        ),
    ),
    Stage(
        "images",
        import_images,
        kubernetes=True,
        needs=(Need("runtime", HOST, "images are kept by containerd"),),
    ),
    Stage(
        "node-ready",
        await_node,
        kubernetes=True,
        after_changes=False,
        needs=(
            Need("ovnkube", HOST, "a node is ready once pods can be plugged in"),
            Need("ovnkube", MASTER, "the master's ovnkube hands out the nodes' subnets"),
        ),
    ),
    Stage(
        "hybrid-overlay",
        start_hybrid_overlay,
        roles=(Role.WINDOWS,),
        kubernetes=True,
        needs=(
            Need("kubelet", HOST, "the service writes on the host's own node object"),
            Need("labels", MASTER, "the node is awaited there before it is labelled"),
            Need("ovnkube", MASTER, "the master's ovnkube hands out the nodes' subnets"),
        ),
    ),
    Stage(
        "kube-proxy",
        start_kube_proxy,
        roles=(Role.WINDOWS,),
        gathers="hybrid-overlay",
        kubernetes=True,
        needs=(Need("hybrid-overlay", HOST, "services are served on the overlay's network"),),
    ),
    Stage(
        "windows-ready",
        await_windows_nodes,
        roles=(Role.MASTER,),
        kubernetes=True,
        gathers="hybrid-overlay",
        after_changes=False,
        needs=(Need("hybrid-overlay", ALL, "a node is ready once pods can be plugged in"),),
    ),
    Stage(
        "dns-ready",
        await_dns,
        roles=(Role.MASTER,),
        gathers="node-ready",
        kubernetes=True,
        after_changes=False,
        needs=(
            Need("dns", HOST, "its pods are started by the deployment"),
            Need("images", ALL, "a mirror's image of it is on the workers"),
            Need("node-ready", ALL, "its pods run on a worker that is ready"),
        ),
    ),
    Stage(
        "inspect-node",
        gather_cluster,
        kubernetes=True,
        after_changes=False,
        needs=(
            Need("node-ready", HOST, "there is nothing to inspect on a node that is not ready"),
            Need("labels", MASTER, "a node's label tells its role"),
            Need("dns-ready", MASTER, "the cluster's DNS is asked"),
        ),
    ),
    Stage(
        "verify-node",
        compare_cluster,
        gathers="inspect-node",
        kubernetes=True,
        after_changes=False,
        needs=(Need("inspect-node", HOST, "what it found here is what is judged"),),
    ),
    Stage(
        "inspect-windows",
        gather_windows,
        roles=(Role.MASTER, Role.WINDOWS),
        kubernetes=True,
        after_changes=False,
        needs=(
            Need("kube-proxy", HOST, "there is nothing to inspect before all services run"),
            Need("windows-ready", MASTER, "a node's condition is looked at once it should be ready"),
        ),
    ),
    Stage(
        "verify-windows",
        compare_windows,
        roles=(Role.WINDOWS,),
        gathers="inspect-windows",
        kubernetes=True,
        after_changes=False,
        needs=(
            Need("inspect-windows", HOST, "what it found here is what is judged"),
            Need("inspect-windows", MASTER, "what the API says of the node is told there"),
        ),
    ),
)
