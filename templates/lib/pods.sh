# shellcheck shell=bash
# Packets between pods: for a while, a pod on each node that does nothing, and what can be reached from its network.
# Nothing of it is meant to last: its steps are ok, and each probe begins by taking away what one that was killed has
# left.
# needs cluster.sh
# needs traffic.sh

# traffic_pods KUBECONFIG NAMESPACE TEXT: the pods that TEXT describes, all of them in the namespace that it makes.
traffic_pods() {
  _traffic_begin 'traffic pods' || return 0
  _needs kubectl || _fail
  _traffic_do 'what an earlier probe left could not be removed' _traffic_pods_remove "$1" "$2"
  _traffic_do 'the API did not take the pods' _manifest_act probe "$1" "$3"
  _report ok
}
_traffic_pods_remove() {
  _kubectl_patient "$1" delete namespace "$2" --ignore-not-found --timeout=90s
}

# traffic_pods_gone KUBECONFIG NAMESPACE: the pods and their namespace are no more.
traffic_pods_gone() {
  _traffic_begin 'traffic pods gone' || return 0
  if ! hash kubectl 2>/dev/null; then _report ok; return; fi
  _traffic_do "the namespace $2 may be left" _traffic_pods_remove "$@"
  _report ok
}

# traffic_pod KUBECONFIG NAMESPACE POD SECONDS: the node's own pod runs. Facts pod_address, and traffic_mtu in bytes.
traffic_pod() {
  local until seen='' address='' mtu
  _traffic_begin 'traffic pod' || return 0
  _needs kubectl || _fail
  until=$((SECONDS + $4))
  while :; do
    seen=$(_kubectl "$1" get pod -n "$2" "$3" \
      -o 'jsonpath={.status.phase} {.status.podIP} {.status.containerStatuses[*].state.waiting.message}' 2>&1)
    if [[ $seen =~ ^Running\ ([0-9.]+) ]] && address=${BASH_REMATCH[1]} && _traffic_pod_network "$address"; then break; fi
    if ((SECONDS >= until)); then
      # shellcheck disable=SC2034  # read by _report
      MESSAGE="the pod does not run after $4 s: ${seen##*$'\n'}" OUTPUT=$(_journal kubelet)
      _fail
    fi
    sleep 0.3
  done
  mtu=$(ip -n "$REPLY" -o link show dev eth0)
  mtu=${mtu#* mtu }
  _fact pod_address "$address"
  _fact traffic_mtu "${mtu%% *}"
  _report ok
}
# _traffic_pod_network ADDRESS: REPLY is the network namespace of the pod with that address.
_traffic_pod_network() {
  local file
  for file in /run/netns/*; do
    REPLY=${file##*/}
    [[ -n $(ip -n "$REPLY" -o -4 address show to "$1/32" 2>/dev/null) ]] && return 0
  done
  # shellcheck disable=SC2034  # read by _report
  MESSAGE="no network namespace here has the pod's address $1"
  return 1
}

# pod_ping ADDRESS COUNT ADDRESS:BYTES...: from the node's pod, which has ADDRESS, to others; see _traffic_pings.
pod_ping() {
  _traffic_begin "pod pings $(($# - 2)) times $2" || return 0
  _traffic_pod_network "$1" || _fail
  _traffic_pings "$REPLY" "${@:2}"
  _report ok
}

# pod_reaches ADDRESS URL AUTHORITY SERVER NAME: from the node's pod, facts api (what the URL says: well, or other
# words) and name (the address that the DNS server SERVER has for NAME).
pod_reaches() {
  local words namespace
  _traffic_begin 'pod reaches services' || return 0
  _traffic_pod_network "$1" || _fail
  namespace=$REPLY
  words=$(_traffic_inside "$namespace" curl --silent --show-error --output /dev/null --fail --max-time 10 \
    --noproxy '*' --cacert "$3" -- "$2") && words=well
  _fact api "$words"
  _fact name "$(_traffic_inside "$namespace" perl -e "$NAME_PERL" "$4" "$5")"
  _report ok
}
