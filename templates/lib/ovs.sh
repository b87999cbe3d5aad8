# shellcheck shell=bash
# Verbs for Open vSwitch: its bridges, the keys of its database, its TLS, and who this host is.

# shellcheck disable=SC2034  # read by name
declare -gA OVS=() OVN_nb=() OVN_sb=()

# _ovs_read: all that the verbs look at, read by one fork into OVS[TABLE RECORD COLUMN[:KEY]]; a table that has
# one row only has "." for its RECORD. Status 2 with a message where the database does not answer (yet).
_ovs_read() {
  local text
  _needs ovs-vsctl || return
  _once ovs || return 0
  unset OVS
  declare -gA OVS=()
  if ! text=$(ovs-vsctl --timeout=20 \
    -- --columns=external_ids,other_config list Open_vSwitch \
    -- --columns=private_key,certificate,ca_cert list SSL \
    -- --columns=name,datapath_type,fail_mode,external_ids,other_config,ports list Bridge \
    -- --columns=_uuid,name list Port 2>&1); then
    STEPS_READ=${STEPS_READ/ ovs / }
    MESSAGE="the Open vSwitch database does not answer: ${text##*: }"
    return 2
  fi
  _ovs_take OVS "$text"
}

# _ovs_take ARRAY TEXT: rows as "list" prints them. An empty line ends a row, whose first column tells its table.
_ovs_take() {
  local -n _rows=$1
  local line column value record=''
  while IFS= read -r line; do
    if [[ -z $line ]]; then
      record=''
      continue
    fi
    column=${line%% *} value=${line#*: }
    if [[ $value != '{'* ]]; then
      _ovs_word "$value"
      value=$REPLY
    fi
    if [[ -z $record ]]; then
      case $column in
        external_ids) record='Open_vSwitch .' ;;
        private_key) record='SSL .' ;;
        target) record="Connection $value" ;;
        name) record="Bridge $value" ;;
        _uuid) record='Port' ;;
      esac
    fi
    case $column in
      _uuid) _rows["$record uuid"]=$value ;;
      name) if [[ $record == Port ]]; then _rows["$record $value"]=${_rows["$record uuid"]}; else _rows["$record"]=yes; fi ;;
      *) if [[ $value == '{'* ]]; then _ovs_map "$record $column" "$value"; else _rows["$record $column"]=$value; fi ;;
    esac
  done <<<"$2"
}

# _ovs_map PREFIX TEXT: {key=value, "a key"="a value"} as the database's tools print it.
_ovs_map() {
  local rest=${2#'{'} key
  local pair='^("([^"\\]|\\.)*"|[^"=,}]+)=("([^"\\]|\\.)*"|[^",}]*)(, |\}$)'
  while [[ $rest =~ $pair ]]; do
    rest=${rest:${#BASH_REMATCH[0]}}
    value=${BASH_REMATCH[3]}
    _ovs_word "${BASH_REMATCH[1]}"
    key=$REPLY
    _ovs_word "$value"
    _rows["$1:$key"]=$REPLY
  done
}

# _ovs_word TEXT: REPLY becomes the text without the quotes that the database's tools put around some.
_ovs_word() {
  REPLY=$1
  if [[ $REPLY == '"'*'"' ]]; then
    REPLY=${REPLY:1:-1}
    REPLY=${REPLY//\\\"/\"}
    REPLY=${REPLY//\\\\/\\}
  fi
}

# _ovs_compare ARRAY RECORD COLUMN[:KEY]=VALUE...: DIFF gets what differs; status 1 when something does.
_ovs_compare() {
  local -n _have=$1
  local want key status=0
  for want in "${@:3}"; do
    key=${want%%=*}
    [[ ${_have[$2 $key]-} == "${want#*=}" ]] && continue
    if [[ -n ${_have[$2 $key]-} ]]; then DIFF+="-$2 $key=${_have[$2 $key]}"$'\n'; fi
    DIFF+="+$2 $want"$'\n'
    status=1
  done
  return "$status"
}

# _ovs_quoted COLUMN[:KEY]=VALUE...: QUOTED becomes the same with every value as a string of the database.
_ovs_quoted() {
  local want
  QUOTED=()
  for want in "$@"; do
    _json "${want#*=}"
    QUOTED+=("${want%%=*}=$REPLY")
  done
}

# ovs_bridge NAME [COLUMN[:KEY]=VALUE...]: the bridge is there, its device too, and it has these values.
ovs_bridge() { _step "bridge $1" '' _ovs_bridge "$@"; }
_ovs_bridge_look() {
  _ovs_read || return
  if [[ -z ${OVS[Bridge $1]-} ]]; then DIFF+="+Bridge $1"$'\n'; fi
  _ovs_compare OVS "Bridge $1" "${@:2}"
  [[ -n $DIFF ]] && return 1
  [[ -e /sys/class/net/$1 ]] && return 0
  MESSAGE="Open vSwitch has the bridge and no device $1: see /var/log/openvswitch/ovs-vswitchd.log"
  return 1
}
_ovs_bridge_act() {
  _ovs_quoted "${@:2}"
  ovs-vsctl --timeout=60 --may-exist add-br "$1" ${QUOTED:+-- set Bridge "$1" "${QUOTED[@]}"}
  # The OVN controller may have asked for the same a moment ago, and its device is still being made.
  for _ in {1..25}; do
    if [[ -e /sys/class/net/$1 ]]; then break; fi
    sleep 0.2
  done
}

# ovs_external_ids KEY=VALUE... and ovs_other_config KEY=VALUE...: these keys have these values; others stay.
ovs_external_ids() { _step "external ids ${*%%=*}" '' _ovs_keys external_ids "$@"; }
ovs_other_config() { _step "other config ${*%%=*}" '' _ovs_keys other_config "$@"; }
_ovs_keys_look() {
  local wants=("${@:2}")
  _ovs_read || return
  _ovs_compare OVS 'Open_vSwitch .' "${wants[@]/#/$1:}"
}
_ovs_keys_act() {
  local wants=("${@:2}")
  _ovs_quoted "${wants[@]/#/$1:}"
  ovs-vsctl --timeout=60 set Open_vSwitch . "${QUOTED[@]}"
}

# ovs_identity ID: this host's name as a chassis. The file is what Open vSwitch takes at its every start.
ovs_identity() { _step 'system id' '' _ovs_identity "$@"; }
_ovs_identity_look() {
  local id=''
  _ovs_read || return
  if [[ -r /etc/openvswitch/system-id.conf ]]; then IFS= read -r id </etc/openvswitch/system-id.conf; fi
  if [[ $id != "$1" ]]; then DIFF+="-system-id.conf: ${id:-(none)}"$'\n'"+system-id.conf: $1"$'\n'; fi
  _ovs_compare OVS 'Open_vSwitch .' "external_ids:system-id=$1"
  [[ -z $DIFF ]]
}
_ovs_identity_act() {
  local state=''
  # A controller that ends takes its chassis out of the southbound database: under its old name, here. One that was
  # never told of a database has none.
  if [[ -n ${OVS[Open_vSwitch . external_ids:ovn-remote]-} ]]; then
    state=$(systemctl show -p ActiveState --value ovn-controller.service) || :
  fi
  if [[ $state == active ]]; then systemctl stop ovn-controller.service; fi
  _file_act /etc/openvswitch/system-id.conf 0644 root:root "$1"$'\n'
  ovs-vsctl --timeout=60 --no-wait set Open_vSwitch . "external_ids:system-id=\"$1\""
  if [[ $state == active ]]; then systemctl start ovn-controller.service; fi
}

# ovs_userspace_tso: the userspace datapath cuts large packets and fills in checksums itself; without it TCP
# from pods is dropped as damaged. It only takes effect as Open vSwitch starts.
ovs_userspace_tso() { _step 'userspace tso' '' _ovs_userspace_tso; }
_ovs_userspace_tso_look() {
  _ovs_read || return
  _ovs_compare OVS 'Open_vSwitch .' other_config:userspace-tso-enable=true
}
_ovs_userspace_tso_act() {
  # Stopped, set, started: wherever this is cut off, the next run sees that something is left to do. The database
  # would end with the switch, by itself and a moment later: stopped with it and started again, it is there to be set.
  # A host whose NIC is in a bridge is off the network meanwhile, so the switch comes back even if this fails.
  trap 'systemctl start openvswitch-switch.service' EXIT
  systemctl stop ovs-vswitchd.service ovsdb-server.service
  systemctl start ovsdb-server.service
  ovs-vsctl --timeout=20 --no-wait set Open_vSwitch . other_config:userspace-tso-enable=true
  systemctl start openvswitch-switch.service
}

# ovs_ssl KEY CERTIFICATE AUTHORITY: the files with which Open vSwitch and the OVN controller speak TLS.
ovs_ssl() { _step 'ovs ssl' '' _ovs_ssl "$@"; }
_ovs_ssl_look() {
  _ovs_read || return
  _ovs_compare OVS 'SSL .' "private_key=$1" "certificate=$2" "ca_cert=$3"
}
_ovs_ssl_act() { ovs-vsctl --timeout=60 set-ssl "$@"; }

# _ovn_read nb|sb: connections and TLS of the northbound or southbound database, into OVN_nb or OVN_sb.
_ovn_read() {
  local text
  _needs "ovn-${1}ctl" || return
  _once "ovn-$1" || return 0
  unset "OVN_$1"
  declare -gA "OVN_$1=()"
  if ! text=$("ovn-${1}ctl" --timeout=20 \
    -- --columns=target,inactivity_probe list Connection \
    -- --columns=private_key,certificate,ca_cert list SSL 2>&1); then
    STEPS_READ=${STEPS_READ/ "ovn-$1" / }
    MESSAGE="the OVN database does not answer: ${text##*: }"
    return 2
  fi
  _ovs_take "OVN_$1" "$text"
}

# ovn_ssl nb|sb KEY CERTIFICATE AUTHORITY: the files with which the database speaks TLS.
ovn_ssl() { _step "ovn $1 ssl" '' _ovn_ssl "$@"; }
_ovn_ssl_look() {
  _ovn_read "$1" || return
  _ovs_compare "OVN_$1" 'SSL .' "private_key=$2" "certificate=$3" "ca_cert=$4"
}
_ovn_ssl_act() { "ovn-${1}ctl" --timeout=60 set-ssl "${@:2}"; }

# ovn_connection nb|sb TARGET [COLUMN=VALUE...]: the database listens there and nowhere else.
ovn_connection() { _step "ovn $1 connection" '' _ovn_connection "$@"; }
_ovn_connection_look() {
  local key
  _ovn_read "$1" || return
  local -n _connections="OVN_$1"
  for key in "${!_connections[@]}"; do
    if [[ $key == Connection*' target' && $key != "Connection $2 target" ]]; then DIFF+="-${key% target}"$'\n'; fi
  done
  _ovs_compare "OVN_$1" "Connection $2" "target=$2" "${@:3}"
  [[ -z $DIFF ]]
}
_ovn_connection_act() {
  "ovn-${1}ctl" --timeout=60 set-connection "$2" ${3:+-- set Connection . "${@:3}"}
}

# await_connected SECONDS: the OVN controller has its connection to the southbound database.
await_connected() {
  local until seen=''
  _begin 'ovn-controller connected'
  until=$((SECONDS + $1))
  if ! _needs ovn-appctl; then
    if ((STEPS_DRY_RUN)); then _report would-change; return; fi
    _fail
  fi
  while :; do
    seen=$(ovn-appctl --timeout=5 -t ovn-controller connection-status 2>&1) && [[ $seen == connected ]] && break
    ((STEPS_DRY_RUN || SECONDS >= until)) && break
    sleep 0.2
  done
  if [[ $seen == connected ]]; then _report ok; return; fi
  MESSAGE="ovn-controller says: ${seen##*: }"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  MESSAGE+=" after $1 s"
  OUTPUT=$(tail -n 12 /var/log/ovn/ovn-controller.log 2>&1)
  _fail
}

# chassis ID TYPE ADDRESS SECONDS: the southbound database has this host under ID with this tunnel end, and no
# other row claims the address: one that is left from a former life of this host would keep it from registering.
chassis() { _step 'chassis registered' '' _chassis "$@"; }
_chassis_look() {
  local name type address registered=''
  _ovs_read || return
  _chassis_read "$4" || return
  while IFS=, read -r name type address; do
    [[ $address == "$3" ]] || continue
    if [[ $name != "$1" ]]; then
      DIFF+="-chassis $name at $3"$'\n'
    elif [[ $type == "$2" ]]; then
      registered=yes
    fi
  done <<<"$REPLY"
  if [[ -z $registered ]]; then DIFF+="+chassis $1 at $2 $3"$'\n'; fi
  [[ -z $DIFF ]]
}
# _chassis_read SECONDS: REPLY becomes the chassis's tunnel ends, as soon as the southbound database tells them.
_chassis_read() {
  local remote=${OVS[Open_vSwitch . external_ids:ovn-remote]-} until=$((SECONDS + $1))
  _needs ovn-sbctl || return
  if [[ -z $remote ]]; then MESSAGE='ovn-remote is not set yet'; return 2; fi
  # The database may just begin to listen, or be told which certificate to show.
  until REPLY=$(_southbound --timeout=10 --format=csv --data=bare --no-headings --columns=chassis_name,type,ip list Encap 2>&1); do
    if ((STEPS_DRY_RUN || SECONDS >= until)); then
      MESSAGE="the southbound database at $remote does not answer: ${REPLY##*: }"
      return 2
    fi
    sleep 0.5
  done
}
_southbound() {
  ovn-sbctl --db="${OVS[Open_vSwitch . external_ids:ovn-remote]}" --no-leader-only --private-key="${OVS[SSL . private_key]-}" \
    --certificate="${OVS[SSL . certificate]-}" --ca-cert="${OVS[SSL . ca_cert]-}" "$@"
}
_chassis_act() {
  local name type address until=$((SECONDS + $4))
  _chassis_read "$4"
  while IFS=, read -r name type address; do
    if [[ $address == "$3" && $name != "$1" ]]; then _southbound --timeout=20 --if-exists chassis-del "$name"; fi
  done <<<"$REPLY"
  until DIFF='' && _chassis_look "$@" || ((SECONDS >= until)); do sleep 0.3; done
}
