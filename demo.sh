#!/bin/sh
# `make demo`: the main job on the embedded lab, or on simulated hosts where there is no root.
# MIRROR=URL_OR_DIR takes Kubernetes' programs from a mirror.
set -eu
python=${PYTHON:-python3}
mirror=${MIRROR:-${KUBERNETES_MIRROR:-}}
windows=1
if "$python" -m runbooks.lab up --with-kubernetes --windows 1; then
    echo
    if ! "$python" -m runbooks.artifacts lock -i inventory/lab ${mirror:+--mirror "$mirror"}; then
        echo
        echo "THE DEMO MAKES THE OVERLAY ALONE: Kubernetes' programs cannot be had from here."
        echo "With a mirror of them it makes the whole cluster: make demo MIRROR=URL_OR_DIR (docs/artifacts.md)"
        echo
        mirror=
        windows=
        "$python" -m runbooks.lab up --overlay-only --windows 0
    fi
    "$python" -m runbooks.bootstrap -i inventory/lab ${mirror:+--mirror "$mirror"} "$@"
    "$python" -m runbooks.verify -i inventory/lab --traffic
    if [ -n "$windows" ]; then
        echo
        echo "windows-1 is simulated: no PowerShell and no Windows has run. What is real of it are its node, its certificates"
        echo "and the packets between it and the Linux hosts' pods (docs/lab.md)."
    fi
    again="$python -m runbooks.bootstrap -i inventory/lab${mirror:+ --mirror $mirror}"
    echo
    echo "The hosts are still up. Run it again and nothing changes: $again"
    echo "When you are done: make lab-down"
elif [ $? -eq 2 ]; then
    echo
    echo "No lab on this machine: the demo goes on with simulated hosts."
    "$python" -m runbooks.simulate --count 3 --windows 1 -- "$python" -m runbooks.bootstrap --mirror http://mirror.simulated "$@"
else
    exit 1
fi
