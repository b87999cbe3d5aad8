#!/bin/sh
# Runs inside the new image: a login user, the services of a cloud image, nothing that acts by itself.
set -eu

user=$1

useradd --create-home --shell /bin/bash --gid "$(getent group "$user" >/dev/null && echo "$user" || echo users)" "$user"
install -d -m 0700 -o "$user" -g "$(id -gn "$user")" "/home/$user/.ssh"

systemctl enable systemd-networkd.service systemd-resolved.service lab-machine.service
# Timers of the package manager would hold its lock at a random moment.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
# The console is a log file: nobody logs in there.
systemctl mask console-getty.service

# These would change the kernel settings of the machine that runs the lab.
mkdir -p /etc/sysctl.d
for file in /usr/lib/sysctl.d/*.conf; do
    ln -sf /dev/null "/etc/sysctl.d/${file##*/}"
done

# Each host gets its own.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id /etc/hostname
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
echo 'LANG=C.UTF-8' >/etc/default/locale
update-ca-certificates
apt-get clean
