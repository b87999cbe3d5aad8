# shellcheck shell=bash
# What an overlay looks like from one host. Changes nothing.
# needs route.sh

CONTROLLER_SECONDS=15
DATABASE_SECONDS=15

# inspect_overlay NIC NORTHBOUND SOUTHBOUND KEY CERTIFICATE AUTHORITY SERVICE...: facts for the checks of the overlay.
# NIC empty: the default route's. The databases are given as the chassis reaches them: ssl:ADDRESS:PORT.
inspect_overlay() {
  _begin 'inspect overlay'
  if ! _needs ovs-vsctl || ! _needs ovn-appctl; then _fail; fi
  _inspect_switch "$1"
  _inspect_pair '' "$4" "$5" "$6"
  _inspect_services "${@:7}"
  _inspect_database northbound nb "$2" "$4" "$5" "$6"
  _inspect_database southbound sb "$3" "$4" "$5" "$6"
  _inspect_controller
  _fact clock "${EPOCHREALTIME/./}"
  _report ok
}

# _inspect_switch NIC: five tables by one fork, one line of JSON each; what Open vSwitch says instead is told as it is.
# Of the ports, of which br-int has as many as there are pods and other hosts, only those of NICs' bridges are told.
_inspect_switch() {
  local text nic open='' bridges='' uplinks='' port='' tunnels=''
  _inspect_nic "$1"
  nic=$REPLY
  _fact nic "$nic"
  _json "$nic"
  if text=$(ovs-vsctl --timeout=20 --format=json \
    -- --columns=external_ids list Open_vSwitch \
    -- --columns=name,datapath_type,fail_mode,external_ids list Bridge \
    -- --columns=name,ports find Bridge 'external_ids:bridge-uplink!=""' \
    -- --columns=_uuid,name find Port "name=$REPLY" \
    -- --columns=name,options,error,ofport,link_state find Interface type=geneve 2>&1); then
    { IFS= read -r open; IFS= read -r bridges; IFS= read -r uplinks; IFS= read -r port; IFS= read -r tunnels; } <<<"$text"
    _fact switch "$open"
    _fact bridges "$bridges"
    _fact uplinks "$uplinks"
    _fact port "$port"
    _fact tunnels "$tunnels"
  else
    _fact switch_error "${text##*: }"
  fi
}

# _inspect_nic NIC: REPLY becomes the NIC, or else the default route's, also where it has moved into its bridge already;
# empty where there is none.
_inspect_nic() {
  REPLY=$1
  [[ -n $1 ]] && return
  _route_read
  REPLY=$DEFAULT_NIC
  if [[ $REPLY == br?* && -e /sys/class/net/${REPLY#br} ]]; then REPLY=${REPLY#br}; fi
}

# _inspect_pair SUFFIX KEY CERTIFICATE AUTHORITY: facts key_mode, certificate and authority, SUFFIX after each.
# Certificates are told whole; of the key only who may read it.
_inspect_pair() {
  local certificate='' authority=''
  _fact "key_mode$1" "$(stat -c '%a %U:%G' -- "$2" 2>&1)"
  if [[ -r $3 ]]; then IFS= read -r -d '' certificate <"$3"; fi
  if [[ -r $4 ]]; then IFS= read -r -d '' authority <"$4"; fi
  _fact "certificate$1" "${certificate:0:65536}"
  _fact "authority$1" "${authority:0:65536}"
}

_inspect_services() {
  local name states
  mapfile -t states < <(systemctl is-active -- "${@/%/.service}" 2>&1)
  for name in "$@"; do
    _fact "service_$name" "${states[0]-no answer}"
    states=("${states[@]:1}")
  done
}

# After _inspect_database southbound: a database that was away a moment ago answers us before the controller has
# tried again, which it does at most 8 seconds after its last attempt.
_inspect_controller() {
  local seen until=$((SECONDS + CONTROLLER_SECONDS))
  while :; do
    seen=$(ovn-appctl --timeout=5 -t ovn-controller connection-status 2>&1) || break # no daemon to wait for
    [[ $seen == connected || $ANSWER != answered ]] && break
    ((SECONDS >= until)) && break
    sleep 0.3
  done
  _fact controller "$seen"
}

# Whether the database answers a client with this host's certificate, and what it says to one without. ANSWER is
# the former.
_inspect_database() {
  local address=${3#ssl:} words until=$((SECONDS + DATABASE_SECONDS))
  while :; do
    words=$("ovn-${2}ctl" --db="$3" --no-leader-only --timeout=10 --private-key="$4" --certificate="$5" --ca-cert="$6" \
      --format=json --columns=_uuid list Connection 2>&1) && words=answered
    # Where connecting takes longer than a second, as to a busy master, the tool gives up whatever its timeout is, and
    # says no reason.
    [[ $words == *'connection failed ()'* ]] || break
    ((SECONDS >= until)) && break
    sleep 0.3
  done
  _fact "${1}_answer" "$words"
  ANSWER=$words
  words=$(timeout 5 openssl s_client -connect "$address" -CAfile "$6" -verify_return_error -brief -ign_eof \
    </dev/null 2>&1)
  _fact "${1}_stranger" "status $?: ${words:0:2000}"
}

# inspect_chassis: the southbound database's chassis and their tunnel ends, on the master; what it says instead is
# told as it is.
inspect_chassis() {
  local text
  _begin 'inspect chassis'
  if ! _needs ovn-sbctl; then _fail; fi
  if text=$(ovn-sbctl --timeout=20 --format=json --columns=chassis_name,type,ip list Encap 2>&1); then
    _fact chassis "$text"
  else
    _fact chassis_error "${text##*: }"
  fi
  _report ok
}
