#!/bin/sh
# `make demo`: the main job on the embedded lab, or on simulated hosts where there is no root.
set -eu
python=${PYTHON:-python3}
if "$python" -m runbooks.lab up; then
    "$python" -m runbooks.bootstrap -i inventory/lab "$@"
    "$python" -m runbooks.verify -i inventory/lab --traffic
    echo
    echo "The hosts are still up. Run it again and nothing changes: $python -m runbooks.bootstrap -i inventory/lab"
    echo "When you are done: make lab-down"
elif [ $? -eq 2 ]; then
    echo
    echo "No lab on this machine: the demo goes on with simulated hosts."
    "$python" -m runbooks.simulate --count 3 -- "$python" -m runbooks.bootstrap "$@"
else
    exit 1
fi
