#!/bin/sh
# Runs inside the image: package lists, and the packages named, downloaded and not installed.
set -eu

apt-get --quiet update
if [ $# -gt 0 ]; then
    apt-get --quiet --yes --download-only install "$@"
fi
