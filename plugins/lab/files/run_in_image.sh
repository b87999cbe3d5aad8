#!/bin/sh
# Runs on the machine, in mount and process namespaces of its own that end with it:
#   run_in_image.sh ROOT SCRIPT [ARGUMENT...]
# LAYERS, when set, are the options of an overlay to be mounted at ROOT first.
set -eu

root=$1 script=$2
shift 2

if [ -n "${LAYERS:-}" ]; then
    mount -t overlay overlay -o "$LAYERS" "$root"
fi
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
# The image's /etc/resolv.conf leads here; a running host has its resolver's own file in this place.
mkdir -p "$root/run/systemd/resolve"
cp -L /etc/resolv.conf "$root/run/systemd/resolve/stub-resolv.conf"
cp "$script" "$root/run/lab-script"

exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" sh /run/lab-script "$@"
