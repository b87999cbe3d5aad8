# The forty looks of forty_looks.sh.j2 as a careful administrator would write them by hand: one command for
# many looks wherever there is one. Says what differs, and changes nothing. It goes to `ssh HOST bash -s`.
cd /run/benchmark || exit 1
looks=0 status=0

# same COUNT WHAT SEEN WANTED
same() {
  looks=$((looks + $1))
  [[ $3 == "$4" ]] && return
  status=1
  printf 'differs: %s\n%s\n' "$2" "$3"
}

same 1 packages "$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' bash coreutils dpkg openssh-server tar util-linux)" \
  'ii bash
ii coreutils
ii dpkg
ii openssh-server
ii tar
ii util-linux'

same 22 'kind, mode and owner' "$(stat -c '%F %a %U:%G %n' -- \
  etc etc/conf.d etc/tls etc/units lib lib/state log bin \
  etc/conf.d/{master,node,network,storage,proxy,dns,audit,limits}.conf \
  etc/units/{store,agent,proxy}.service etc/tls/{ca,cert,key}.pem 2>&1)" \
  'directory 755 root:root etc
directory 755 root:root etc/conf.d
directory 700 root:root etc/tls
directory 755 root:root etc/units
directory 755 root:root lib
directory 700 root:root lib/state
directory 750 root:root log
directory 755 root:root bin
regular file 644 root:root etc/conf.d/master.conf
regular file 644 root:root etc/conf.d/node.conf
regular file 644 root:root etc/conf.d/network.conf
regular file 644 root:root etc/conf.d/storage.conf
regular file 644 root:root etc/conf.d/proxy.conf
regular file 644 root:root etc/conf.d/dns.conf
regular file 644 root:root etc/conf.d/audit.conf
regular file 644 root:root etc/conf.d/limits.conf
regular file 644 root:root etc/units/store.service
regular file 644 root:root etc/units/agent.service
regular file 644 root:root etc/units/proxy.service
regular file 644 root:root etc/tls/ca.pem
regular file 644 root:root etc/tls/cert.pem
regular file 600 root:root etc/tls/key.pem'

same 0 content "$(sha256sum --quiet -c 2>&1 <<'SUMS'
21913dea9d1e7c021109bdc1ad9a573a66de87b1c09472e0d8ac9527bc6bca15  etc/conf.d/master.conf
f3c6560c9af96f5359ffa07c84ac373fc2ee90b4125d5801f1ba1be33dae2eda  etc/conf.d/node.conf
e0854e910962da403e95466eac7b5242b96364755eaa106917f0df24ad987f31  etc/conf.d/network.conf
c73a75ce0402219a62d5db4c20c7e80b218a9b835fefa5e4118ea554041fd325  etc/conf.d/storage.conf
24f5d74a3b03844ca3be8aa447ae7d243e9d5a34ca8c91188ea9dc9b2b27c849  etc/conf.d/proxy.conf
1ade0ee24fdcaa5319eae0abbd028941c0f7765d167a77e2fab3817bfaa7a277  etc/conf.d/dns.conf
0579b646d944a0de689333569d7999a18ba21b22b42398599288dd377f585809  etc/conf.d/audit.conf
360c508ac375077ec327c53bdecf816e9d5b8d393a94caa03d82bd28b04a316e  etc/conf.d/limits.conf
03e0179753ca2cea31a6d3c350fdadef7d2396e1a4d43cb0a2a1e69958164cf8  etc/units/store.service
5c33355b309de4cd7ce85e43fa8c8c1d1b73b4d9b9d039675390333f405856bb  etc/units/agent.service
1ad357a250eadb0c4a9d0b829a9ebcf3443eb7e4f88c090f14c304c6d9791250  etc/units/proxy.service
9d729051133138fc7e8c6ddbbe91d2f5c754747d5e4604c6e652ee140a12602c  etc/tls/ca.pem
8460dbf8e31f125f961fc86e9caa4b6dc28825de40e2eed83742acd3ef0a79e5  etc/tls/cert.pem
ef7196c076bfd5c77f80c34d7c210e04d8dc87e13809905b113f307b2ee20306  etc/tls/key.pem
SUMS
)" ''

same 6 links "$(readlink -- bin/{store,agent,proxy} etc/{ca.pem,cert.pem,current})" \
  '/run/benchmark/lib/store
/run/benchmark/lib/agent
/run/benchmark/lib/proxy
/run/benchmark/etc/tls/ca.pem
/run/benchmark/etc/tls/cert.pem
/run/benchmark/etc/conf.d'

same 3 'lines of hosts' "$(grep -cxF -e '10.142.0.2 master-1' -e '10.142.0.3 linux-1' -e '10.142.0.4 linux-2' etc/hosts)" 3
same 2 'lines of modules' "$(grep -cxF -e openvswitch -e geneve etc/modules)" 2

for old in etc/old.conf lib/old bin/old; do
  [[ ! -e $old && ! -L $old ]]
  same 1 "$old" $? 0
done

grep -q ^root: /etc/passwd
same 1 'root can log in' $? 0
[[ -w /etc/passwd ]]
same 1 'system files can be written' $? 0
[[ -e /sys/class/net/lo ]]
same 1 'loopback is there' $? 0

echo "$looks looks"
exit "$status"
