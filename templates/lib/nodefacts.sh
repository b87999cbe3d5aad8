# shellcheck shell=bash
# What a host has to do with Kubernetes before the runbooks make it a node, as facts for `gather`.
# needs facts.sh

# FILE, each swap space in use.
_gather_swap() {
  local spaces space
  mapfile -t -s 1 spaces 2>/dev/null </proc/swaps
  REPLY=''
  for space in ${spaces[@]+"${spaces[@]}"}; do REPLY+="${space%%[[:space:]]*}"$'\n'; done
}
# The version of the control groups that the kubelet would use.
_gather_cgroup_version() { if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then REPLY=2; else REPLY=1; fi; }
# installed_packages=NAME...: NAME VERSION of those that are installed.
_gather_installed_packages() {
  local name told=''
  _gather_dpkg_read || return 1
  for name in "$@"; do
    _gather_installed "$name"
    if [[ -n $REPLY ]]; then told+="$name $REPLY"$'\n'; fi
  done
  REPLY=$told
}
# ADDRESS, the name servers that pods would ask.
_gather_nameservers() {
  local key address file=/etc/resolv.conf told=''
  if [[ -r /run/systemd/resolve/resolv.conf ]]; then file=/run/systemd/resolve/resolv.conf; fi
  while read -r key address _; do
    if [[ $key == nameserver ]]; then told+="$address"$'\n'; fi
  done 2>/dev/null <"$file"
  REPLY=$told
}
# PATH WHAT, traces of a cluster: the API that a kubelet's file names, a static pod, members of etcd.
_gather_cluster_traces() {
  local file told=''
  for file in /etc/kubernetes/kubelet.kubeconfig /etc/kubernetes/kubelet.conf /var/lib/kubelet/kubeconfig \
    /etc/rancher/k3s/k3s.yaml /etc/rancher/rke2/rke2.yaml /var/snap/microk8s/current/credentials/kubelet.config; do
    if _read_text "$file" && [[ $REPLY =~ server:[[:space:]]*[\"\']?(https?://[^[:space:]\"\']+) ]]; then
      told+="$file ${BASH_REMATCH[1]}"$'\n'
    fi
  done
  for file in /etc/kubernetes/manifests/*.yaml; do
    if [[ -e $file ]]; then told+="$file static-pod"$'\n'; fi
  done
  for file in /var/lib/etcd/member /var/lib/etcd/*/member; do
    if [[ -d $file ]]; then told+="$file etcd"$'\n'; fi
  done
  REPLY=$told
}
