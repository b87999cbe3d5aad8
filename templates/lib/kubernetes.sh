# shellcheck shell=bash
# Verbs for Kubernetes: services that are well, objects that are as wanted, nodes that are there.

# resolver_link PATH: a link to the name servers that pods may ask, too. Those of a resolver on the host's loopback
# are none: pods have a loopback of their own.
resolver_link() {
  local target=/etc/resolv.conf
  if [[ -e /run/systemd/resolve/resolv.conf ]]; then target=/run/systemd/resolve/resolv.conf; fi
  link "$1" "$target"
}

# healthy NAME URL SERVICE SECONDS CA [CERTIFICATE KEY]: the URL answers 200 OK. Otherwise the service's own last
# lines say why not.
healthy() {
  local until words restarts
  _begin "$1 healthy"
  until=$((SECONDS + $4))
  _restarts "$3"
  restarts=$REPLY REPLY=''
  while :; do
    words=$(_ask_url 5 "$2" "${@:5}") && { _report ok; return; }
    ((STEPS_DRY_RUN || SECONDS >= until)) && break
    if _given_up "$3" "$restarts"; then break; fi
    sleep 0.1
  done
  MESSAGE="$2 says: ${words:-nothing}"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  MESSAGE+=${REPLY:-" after $4 s"}
  OUTPUT=$(_journal "$3")
  _fail
}
# _ask_url SECONDS URL [AUTHORITY [CERTIFICATE KEY]]: status 0 where it answers 200 OK; else curl's words are printed.
_ask_url() {
  local curl=(curl --silent --show-error --output /dev/null --fail --max-time "$1" --noproxy '*')
  if [[ -n ${3-} ]]; then curl+=(--cacert "$3"); fi
  if [[ -n ${4-} ]]; then curl+=(--cert "$4" --key "$5"); fi
  "${curl[@]}" -- "$2" 2>&1
}
# _restarts SERVICE: REPLY becomes how often systemd has started it again by itself.
_restarts() {
  REPLY=$(systemctl show -p NRestarts --value -- "$1.service")
  REPLY=${REPLY:-0}
}
# _given_up SERVICE RESTARTS: it has failed for good, or again and again since it had been restarted RESTARTS times:
# then nothing is left to wait for, and REPLY says so.
_given_up() {
  _restarts "$1"
  if ((REPLY >= $2 + 3)); then
    REPLY=", and $1 has ended by itself $((REPLY - $2)) times"
  elif [[ $(systemctl show -p ActiveState --value -- "$1.service") == failed ]]; then
    REPLY=", and $1 has failed"
  else
    REPLY=''
    return 1
  fi
}
_journal() { journalctl --no-pager -o cat -n "${2:-25}" -u "$1.service" 2>&1; }

# manifest NAME KUBECONFIG TEXT: the API has these objects as they stand in TEXT; what others have set beside that
# stays.
manifest() { _step "manifest $1" '' _manifest "$@"; }
# _kubectl KUBECONFIG WORDS: a dry run must not leave kubectl's cache of the API behind, so it lies in /run.
_kubectl() { _kubectl_patient "$1" --request-timeout=30s "${@:2}"; }
# A proxy that downloads go through is not one for the API.
_kubectl_patient() { NO_PROXY='*' no_proxy='*' kubectl --kubeconfig="$1" --cache-dir="$KUBE_CACHE" "${@:2}"; }
KUBE_CACHE=/run/ovn-runbooks/kube-cache
# _kubectl_or_over: kubectl is there; else the step is over, and in a dry run status 1 says so.
_kubectl_or_over() {
  if _needs kubectl; then return 0; fi
  if ((!STEPS_DRY_RUN)); then _fail; fi
  _report would-change
  return 1
}
MANIFEST_OPTIONS=(--server-side --force-conflicts --field-manager=ovn-runbooks -f -)
_manifest_look() {
  local words status tries=3
  _needs kubectl || return
  # kubectl asks twice, for what is there and for what would be. Where a controller writes its status in between, both
  # differ for once; only where something is there already, which is no context line of an object that is new.
  while :; do
    words=$(KUBECTL_EXTERNAL_DIFF='diff -u -N' _kubectl "$2" diff "${MANIFEST_OPTIONS[@]}" <<<"$3" 2>&1)
    status=$?
    if ((status != 1 || --tries == 0)) || [[ $words != *$'\n@@ -'[1-9]* ]]; then break; fi
    sleep 0.3
  done
  case $status in
    0) return 0 ;;
    1) DIFF="$words"$'\n'; return 1 ;;
  esac
  MESSAGE="the API does not tell how the objects differ: ${words##*$'\n'}"
  return 2
}
_manifest_act() {
  local until=$((SECONDS + 30))
  # Objects may name others of a namespace that is just being made.
  until _kubectl "$2" apply "${MANIFEST_OPTIONS[@]}" <<<"$3"; do
    if ((SECONDS >= until)); then return 1; fi
    sleep 1
  done
}

# account_token FACT KUBECONFIG NAMESPACE SECRET SECONDS: the token in a secret, as a secret fact. It is put there by
# the API a moment after the secret was made.
account_token() {
  local token='' until
  _begin "token $4"
  _kubectl_or_over || return 0
  until=$((SECONDS + $5))
  while :; do
    token=$(_kubectl "$2" get secret -n "$3" "$4" -o 'jsonpath={.data.token}' 2>/dev/null)
    [[ -n $token ]] && break
    ((STEPS_DRY_RUN || SECONDS >= until)) && break
    sleep 0.5
  done
  if [[ -n $token ]]; then
    _secret "$1" "$(printf %s "$token" | base64 -d)"
    _report ok
    return
  fi
  MESSAGE="secret $3/$4 holds no token"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  MESSAGE+=" after $5 s"
  _fail
}

# node_registered KUBECONFIG NODE SECONDS and node_ready KUBECONFIG NODE SECONDS: the API knows the node, or calls it
# ready. Otherwise its own words, and the last lines of who should have made it so.
node_registered() { _node registered containerd "$@"; }
node_ready() { _node ready ovnkube "$@"; }
NODE_PATH='{.metadata.name} {range .status.conditions[?(@.type=="Ready")]}{.status} {.reason}: {.message}{end}'
_node() {
  local until seen status restarts service=$2
  _begin "node $4 $1"
  if [[ $1 == registered ]]; then service=kubelet; fi
  _kubectl_or_over || return 0
  until=$((SECONDS + $5))
  _restarts "$service"
  restarts=$REPLY REPLY=''
  while :; do
    seen=$(_kubectl "$3" get node "$4" -o "jsonpath=$NODE_PATH" 2>&1)
    status=$?
    if ((status == 0)) && [[ $1 == registered || $seen == "$4 True "* ]]; then _report ok; return; fi
    ((STEPS_DRY_RUN || SECONDS >= until)) && break
    if _given_up "$service" "$restarts"; then break; fi
    sleep 0.3
  done
  MESSAGE="the API says: ${seen##*$'\n'}"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  MESSAGE+=${REPLY:-" after $5 s"}
  OUTPUT="kubelet:"$'\n'"$(_journal kubelet 12)"$'\n'"$2:"$'\n'"$(_journal "$2" 12)"
  _fail
}

# hybrid_tunnels KUBECONFIG NODE PATIENCE SECONDS: ovnkube has made its end of the tunnels to Windows hosts. Where it
# looks for its gateway's MAC address a moment before its node is told, it takes itself for ready and never looks again:
# it is started anew when PATIENCE seconds after that there is no port.
hybrid_tunnels() {
  local patience='' until=$((SECONDS + $4)) status=ok
  _begin 'tunnels to Windows hosts'
  while [[ $(ovs-vsctl --timeout=10 port-to-br ext-vxlan 2>&1) != br-ext ]]; do
    MESSAGE='br-ext has no port ext-vxlan'
    if ((STEPS_DRY_RUN)); then _report would-change; return; fi
    if [[ -z $patience && -n $(_gateway_mac "$1" "$2") ]]; then patience=$((SECONDS + $3)); fi
    if ((SECONDS >= until)); then
      MESSAGE+=" after $4 s"
      if [[ -z $patience ]]; then MESSAGE+="; the master's ovnkube has not told the node its gateway's MAC address"; fi
      OUTPUT=$(_journal ovnkube 12)
      _fail
    fi
    if [[ $status == ok && -n $patience ]] && ((SECONDS >= patience)); then
      status=changed
      _do systemctl restart ovnkube
    fi
    sleep 0.3
  done
  # What it said while there was no port is over.
  MESSAGE=''
  if [[ $status == changed ]]; then MESSAGE='ovnkube was started anew'; fi
  _report "$status"
}
MAC_PATH='{.metadata.annotations.k8s\.ovn\.org/hybrid-overlay-distributed-router-gateway-mac}'
_gateway_mac() { _kubectl "$1" get node "$2" -o "jsonpath=$MAC_PATH" 2>/dev/null; }

# deployment_available KUBECONFIG NAMESPACE NAME SECONDS: at least one of its pods takes requests. Otherwise what its
# pods wait for.
deployment_available() {
  local until seen=''
  _begin "deployment $3 available"
  _kubectl_or_over || return 0
  until=$((SECONDS + $4))
  while :; do
    seen=$(_kubectl "$1" get deployment -n "$2" "$3" \
      -o 'jsonpath={.status.availableReplicas}' 2>&1)
    if [[ $seen =~ ^[1-9][0-9]*$ ]]; then _report ok; return; fi
    ((STEPS_DRY_RUN || SECONDS >= until)) && break
    sleep 0.5
  done
  MESSAGE="${seen:-no pod is available}"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  MESSAGE+=" after $4 s"
  OUTPUT=$(_kubectl "$1" get events -n "$2" --field-selector type=Warning \
    -o 'jsonpath={range .items[*]}{.involvedObject.name}: {.message}{"\n"}{end}' 2>&1 | tail -n 12)
  _fail
}

# node_labels KUBECONFIG KEY=VALUE NODE...: these nodes carry the label.
node_labels() { _step "label $2 of ${*:3}" '' _node_labels "$@"; }
_node_labels_look() {
  local have node
  _needs kubectl || return
  if ! have=$(_kubectl "$1" get nodes -l "$2" -o 'jsonpath={.items[*].metadata.name}' 2>&1); then
    MESSAGE="the API says: ${have##*$'\n'}"
    return 2
  fi
  for node in "${@:3}"; do
    if [[ " $have " != *" $node "* ]]; then DIFF+="+$node: $2"$'\n'; fi
  done
  [[ -z $DIFF ]]
}
_node_labels_act() { _kubectl "$1" label node "${@:3}" "$2" --overwrite; }

# node_taint KUBECONFIG KEY:EFFECT NODE...: these nodes have a taint of that key.
node_taint() { _step "taint $2 of ${*:3}" '' _node_taint "$@"; }
_node_taint_look() {
  local have node keys='{range .items[*]}{.metadata.name} {.spec.taints[*].key} {"\n"}{end}'
  _needs kubectl || return
  if ! have=$(_kubectl "$1" get nodes -o "jsonpath=$keys" 2>&1); then
    MESSAGE="the API says: ${have##*$'\n'}"
    return 2
  fi
  for node in "${@:3}"; do
    if [[ ! $'\n'$have =~ $'\n'"$node "([^$'\n']* )?"${2%:*} " ]]; then DIFF+="+$node: $2"$'\n'; fi
  done
  [[ -z $DIFF ]]
}
_node_taint_act() { _kubectl "$1" taint node "${@:3}" "$2" --overwrite; }
