# shellcheck shell=bash
# The NIC's move into an OVS bridge, which cuts the connection that asks for it.
#
# Nothing of it lasts until it is confirmed by a script that came over the changed network. A unit of its own makes
# the change and waits; however it ends without a confirmation, systemd then runs its other half, which takes all
# back. The .network files lie in /run meanwhile, and a guard takes the bridge out at the next boot before Open
# vSwitch makes it: a host that is rebooted or loses its power in between comes back with the network it had.
# needs ovs.sh
# needs route.sh

NETWORK_FOLDER=/run/ovn-runbooks/network
NETWORK_UNIT=ovn-runbooks-network.service
NETWORK_ETC=/etc/systemd/network
NETWORK_PREFIX=05-ovn-runbooks-
NETWORK_GUARD=/etc/systemd/system/ovn-runbooks-network-guard.service
NETWORK_GUARD_LINK=/etc/systemd/system/multi-user.target.wants/ovn-runbooks-network-guard.service
NETWORK_GUARD_SCRIPT=/var/lib/ovn-runbooks/network-guard
NETWORK_ONLINE=/etc/systemd/system/systemd-networkd-wait-online.service.d/90-ovn-runbooks.conf

# nic_bridge NIC DATAPATH ADDRESS SECONDS [MTU]: ADDRESS is on the OVS bridge "br"+NIC, and NIC is its port, now and
# after a reboot. NIC empty: the default route's. The change is taken back unless it is confirmed within SECONDS:
# by network_confirm with the fact confirm_token, or by this verb. MTU is the NIC's in bytes; none: what it has.
nic_bridge() {
  local status
  _begin 'nic bridge'
  # Not as a condition: what it does would then go on past a failure.
  _network_resume
  status=$?
  if ((status)); then _report would-change; return; fi
  _nic_bridge_look "$@"
  case $? in
    0) _report "${NETWORK_RESUMED:-ok}"; return ;;
    1) ;;
    2) if ((!STEPS_DRY_RUN)); then _fail; fi ;;
    *) _fail ;;
  esac
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  NETWORK_SECONDS=$4
  _do _network_start
  status=$?
  if ((status)); then
    _last "$STEPS_FOLDER/output"
    OUTPUT=$REPLY MESSAGE='the change could not be started'
    _fail
  fi
  _network_ask
}
_network_ask() {
  _network_state
  _fact confirm_token "$NETWORK_TOKEN"
  # shellcheck disable=SC2034  # read by _report
  ASKS=confirm
  _report changed
  _end 0
}

# userspace_nic NIC: the kernel leaves what comes in on the NIC to the userspace switch, which it has it from, too:
# else it answers for the host's address what is meant for pods, and resets their connections. NIC empty: the
# default route's.
userspace_nic() { _step 'userspace nic' '' _userspace_nic "$@"; }
_userspace_nic_look() {
  _ovs_read || return
  _network_nic "$1" || return
  _sysctl_look nic "net/ipv4/conf/$NETWORK_NIC/rp_filter=1"
}
_userspace_nic_act() { _sysctl_act nic "net/ipv4/conf/$NETWORK_NIC/rp_filter=1"; }

# network_confirm TOKEN: this script came over the changed network, so it may stay.
network_confirm() {
  _begin 'network confirmed'
  if ((STEPS_DRY_RUN)); then _report ok; return; fi
  _network_state
  if [[ -z $NETWORK_STATE || $NETWORK_TOKEN != "$1" ]]; then
    MESSAGE='the change is gone: the host was rebooted before it was confirmed and has its old network'
    _fail
  fi
  if [[ $NETWORK_STATE == started || $NETWORK_STATE == applying ]]; then
    # Come before the change was made, this script proves nothing. The next one will, and confirm it.
    _network_await started applying
    if [[ $NETWORK_STATE == waiting ]]; then _report ok; return; fi
  fi
  _network_settle
  case $NETWORK_STATE in
    confirmed) _report "${NETWORK_RESUMED:-ok}" ;;
    *)
      MESSAGE="the network change was taken back: $NETWORK_REASON"
      _fail
      ;;
  esac
}

# _network_resume: a change that an earlier run left open is confirmed, as this script has come over it. Status 1
# where a dry run has to leave it open.
_network_resume() {
  local status
  NETWORK_RESUMED=''
  _network_state
  case $NETWORK_STATE in
    '' | confirmed | taken-back) return 0 ;;
  esac
  if ((STEPS_DRY_RUN)); then
    MESSAGE="an earlier change is still open ($NETWORK_STATE)"
    return 1
  fi
  if [[ $(systemctl show -p ActiveState --value "$NETWORK_UNIT") == @(inactive|failed) ]]; then
    # Somebody has killed both of its halves.
    _do _network_detach undo
    status=$?
    if ((status)); then _fail; fi
    _network_await started applying waiting taking-back
  elif [[ $NETWORK_STATE == started || $NETWORK_STATE == applying ]]; then
    _network_await started applying
    if [[ $NETWORK_STATE == waiting ]]; then _network_ask; fi
  fi
  _network_settle
}
# _network_settle: what waits is confirmed, what is being taken back is waited for.
_network_settle() {
  local status
  NETWORK_RESUMED=''
  if [[ $NETWORK_STATE == waiting ]]; then
    _do _network_commit
    status=$?
    if ((status)); then
      _last "$STEPS_FOLDER/output"
      # shellcheck disable=SC2034  # read by _report
      OUTPUT=$REPLY MESSAGE='the network change could not be made to last'
      _fail
    fi
    NETWORK_RESUMED=changed
    _network_state
  fi
  _network_await taking-back
}
# _network_await STATE...: until it is in none of these, or 50 s have gone.
_network_await() {
  local until=$((SECONDS + 50))
  while [[ " $* " == *" $NETWORK_STATE "* ]] && ((SECONDS < until)); do
    sleep 0.1
    _network_state
  done
}

# _nic_bridge_look NIC DATAPATH ADDRESS SECONDS [MTU]: sets what _network_start needs.
_nic_bridge_look() {
  NETWORK_SOURCE=''
  local ovs mac='' mtu=''
  NETWORK_FILES=()
  _ovs_read
  ovs=$?
  _network_nic "$1" || return
  NETWORK_BRIDGE=br$NETWORK_NIC NETWORK_ADDRESS=$3
  if ((${#NETWORK_BRIDGE} > 15)); then
    MESSAGE="the bridge's name $NETWORK_BRIDGE has more than 15 characters: give $NETWORK_NIC a shorter name (a .link file)"
    _network_instead
    return 3
  fi
  if ! { read -r mac <"/sys/class/net/$NETWORK_NIC/address" && read -r mtu <"/sys/class/net/$NETWORK_NIC/mtu"; } 2>/dev/null; then
    MESSAGE="there is no NIC $NETWORK_NIC here: correct nic in the inventory"
    return 3
  fi
  NETWORK_SETTINGS=("datapath_type=$2" "external_ids:bridge-id=$NETWORK_BRIDGE"
    "external_ids:bridge-uplink=$NETWORK_NIC" "other_config:hwaddr=$mac")
  if ((ovs == 0)); then
    _network_port_look || return
    _ovs_compare OVS "Bridge $NETWORK_BRIDGE" "${NETWORK_SETTINGS[@]}"
  fi
  if [[ -e $NETWORK_GUARD ]]; then DIFF+="-$NETWORK_GUARD"$'\n'; fi
  ADDRESSES=$(ip -o -4 addr show)
  if ! _network_has "$NETWORK_BRIDGE" "$3" || _network_has "$NETWORK_NIC"; then
    _network_files_look "${5:-$mtu}" || return
  elif [[ -n ${5:-} && $mtu != "$5" ]]; then
    MESSAGE="the MTU of $NETWORK_NIC is $mtu, wanted is $5: change MTUBytes in $NETWORK_ETC/$NETWORK_PREFIX$NETWORK_NIC.network, or mtu in the inventory"
    return 3
  else
    _network_keeper "$NETWORK_BRIDGE"
    if [[ -z $REPLY ]]; then
      MESSAGE="$NETWORK_BRIDGE has $3, and nothing would give it that at the next boot: configure it in systemd-networkd"
      _network_instead
      return 3
    fi
  fi
  if ((ovs == 0)) && [[ -z $DIFF ]]; then return 0; fi
  return $((ovs == 0 ? 1 : ovs))
}
_network_instead() { MESSAGE+=', or set nic_bridge: false in the inventory'; }

# _network_nic NIC: NETWORK_NIC becomes the NIC, also where it has moved into its bridge already.
_network_nic() {
  NETWORK_NIC=$1
  [[ -n $1 ]] && return 0
  _route_read
  NETWORK_NIC=$DEFAULT_NIC
  if [[ -z $NETWORK_NIC ]]; then
    MESSAGE='there is no default route to tell the NIC by: name it, as nic in the inventory'
    return 3
  fi
  if [[ -n ${OVS[Bridge $NETWORK_NIC]-} ]]; then
    if [[ -z ${OVS[Port ${NETWORK_NIC#br}]-} || $NETWORK_NIC != br* ]]; then
      MESSAGE="the default route goes through the OVS bridge $NETWORK_NIC, which is not named br and its NIC: rename it"
      _network_instead
      return 3
    fi
    NETWORK_NIC=${NETWORK_NIC#br}
  fi
}
# _network_port_look: the NIC is a port of its bridge, or of none.
_network_port_look() {
  local port=${OVS[Port $NETWORK_NIC]-}
  if [[ -z $port ]]; then
    DIFF+="+Port $NETWORK_NIC in $NETWORK_BRIDGE"$'\n'
  elif [[ ${OVS[Bridge $NETWORK_BRIDGE ports]-} != *"$port"* ]]; then
    MESSAGE="$NETWORK_NIC is a port of another OVS bridge than $NETWORK_BRIDGE: rename that bridge"
    _network_instead
    return 3
  fi
}
# _network_has DEVICE [ADDRESS]: it has this IPv4 address, or any.
_network_has() {
  local device address
  while read -r _ device _ address _; do
    if [[ $device == "$1" && ($# == 1 || ${address%/*} == "$2") ]]; then return 0; fi
  done <<<"$ADDRESSES"
  return 1
}
# _network_keeper DEVICE: REPLY becomes its .network file, or the name of another manager, or empty.
_network_keeper() {
  local index='' line
  REPLY=''
  { read -r index <"/sys/class/net/$1/ifindex"; } 2>/dev/null
  if [[ -r /run/systemd/netif/links/$index ]]; then
    while IFS='=' read -r line REPLY; do [[ $line == NETWORK_FILE && -n $REPLY ]] && return; done <"/run/systemd/netif/links/$index"
  fi
  REPLY=''
  if [[ -r /run/NetworkManager/devices/$index && $(<"/run/NetworkManager/devices/$index") == *managed=@(true|1)* ]]; then
    REPLY=NetworkManager
  elif [[ -r /run/network/ifstate && $'\n'$(</run/network/ifstate) == *$'\n'"$1="* ]]; then
    REPLY=ifupdown
  fi
}

# _network_files_look MTU: NETWORK_FILES gets NAME TEXT NAME TEXT: the NIC without addresses, and the bridge with all
# that is configured for the NIC.
_network_files_look() {
  local place
  _network_keeper "$NETWORK_NIC"
  NETWORK_SOURCE=$REPLY
  if [[ $NETWORK_SOURCE != /* ]]; then
    MESSAGE="$NETWORK_NIC is configured by ${NETWORK_SOURCE:-nothing known here} and not by systemd-networkd: hand it over to systemd-networkd"
    _network_instead
    return 3
  fi
  if ! _network_has "$NETWORK_NIC" "$NETWORK_ADDRESS"; then
    MESSAGE="$NETWORK_NIC does not have the address $NETWORK_ADDRESS: correct nic or address in the inventory"
    return 3
  fi
  if [[ ${NETWORK_SOURCE##*/} < $NETWORK_PREFIX || $NETWORK_SOURCE == */"$NETWORK_PREFIX"* ]]; then
    MESSAGE="$NETWORK_SOURCE comes before $NETWORK_PREFIX$NETWORK_NIC.network by its name, and would win: rename it"
    _network_instead
    return 3
  fi
  _network_texts "$1" || return
  for ((place = 0; place < ${#NETWORK_FILES[@]}; place += 2)); do
    DIFF+="+++ $NETWORK_ETC/${NETWORK_FILES[place]}"$'\n+'
    DIFF+=${NETWORK_FILES[place + 1]//$'\n'/$'\n+'}
    DIFF=${DIFF%+}
  done
}
_network_texts() {
  local line section='' key mac='' head link='' keep rest='' index client given=''
  while IFS= read -r line || [[ -n $line ]]; do
    key=''
    if [[ $line == '['*']' ]]; then
      section=$line
    elif [[ $line =~ ^[[:space:]]*([A-Za-z0-9]+)[[:space:]]*= ]]; then
      key=${BASH_REMATCH[1]}
    fi
    if [[ $section$key =~ ^'[Network]'(Bridge|Bond|VRF|VLAN|MACVLAN|MACVTAP|IPVLAN|IPVTAP|VXLAN|Tunnel|BatmanAdvanced|Xfrm)$ ]]; then
      MESSAGE="$NETWORK_NIC carries other devices ($line in $NETWORK_SOURCE): choose another NIC"
      _network_instead
      return 3
    fi
    case ${line//[[:space:]]/} in
      "Address=$NETWORK_ADDRESS" | "Address=$NETWORK_ADDRESS/"* | DHCP=yes | DHCP=ipv4 | DHCP=true | DHCP=1 | DHCP=on) given=yes ;;
    esac
    case $section$key in
      '[Match]'*) continue ;;
      '[Link]MACAddress') mac=$line$'\n' ;;
      '[Link]MTUBytes') ;; # the bridge takes after its port
      *) rest+=$line$'\n' ;;
    esac
  done < <(_network_sources "$NETWORK_SOURCE")
  if [[ -z $given ]]; then
    MESSAGE="$NETWORK_SOURCE gives $NETWORK_NIC neither $NETWORK_ADDRESS nor DHCP: it was edited since it was loaded, or the address was set by hand"
    return 3
  fi
  # The bridge asks for the NIC's lease; systemd-networkd would name it differently to the server otherwise.
  read -r index <"/sys/class/net/$NETWORK_NIC/ifindex"
  if [[ -r /run/systemd/netif/leases/$index ]]; then
    while IFS='=' read -r line client; do
      if [[ $line == CLIENTID && $client == ff* ]]; then rest+=$'\n[DHCPv4]\n'"IAID=$((16#${client:2:8}))"$'\n'; fi
    done <"/run/systemd/netif/leases/$index"
  fi
  head="# Made from $NETWORK_SOURCE by ovn-runbooks: $NETWORK_NIC is a port of the OVS bridge $NETWORK_BRIDGE."$'\n[Match]\nName='
  link=$'\n\n[Link]\n'"MTUBytes=$1"$'\n'"${mac}RequiredForOnline=no"$'\n\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n'
  # What others have put there, such as ovnkube, stays when systemd-networkd is started anew; the copied text may differ.
  keep=$'\n\n[Network]\nKeepConfiguration=static\n\n'
  NETWORK_FILES=(
    "$NETWORK_PREFIX$NETWORK_NIC.network" "$head$NETWORK_NIC$link"
    "$NETWORK_PREFIX$NETWORK_BRIDGE.network" "$head$NETWORK_BRIDGE$keep${rest#$'\n'}"
  )
}
# _network_sources FILE: its text and that of its drop-ins, in the order of their names; /etc covers /run covers /usr.
_network_sources() {
  local folder file
  local -A found=()
  cat -- "$1"
  for folder in /usr/lib /usr/local/lib /run /etc; do
    for file in "$folder/systemd/network/${1##*/}.d"/*.conf; do
      if [[ -r $file ]]; then found[${file##*/}]=$file; fi
    done
  done
  while IFS= read -r file; do
    if [[ -n $file ]]; then echo; cat -- "${found[$file]}"; fi
  done < <(printf '%s\n' "${!found[@]}" | sort)
}

# --- what runs in the unit, at the next boot, or when confirmed

# _network_state [STATE [REASON]]: read, or write, where the change stands.
_network_state() {
  if (($# > 0)); then
    printf '%s %s %s\n' "$1" "$NETWORK_TOKEN" "${2:-}" >"$NETWORK_FOLDER/state.new"
    mv -f -- "$NETWORK_FOLDER/state.new" "$NETWORK_FOLDER/state"
    NETWORK_STATE=$1
    return
  fi
  NETWORK_STATE='' NETWORK_TOKEN='' NETWORK_REASON=''
  if [[ -r $NETWORK_FOLDER/state ]]; then
    read -r NETWORK_STATE NETWORK_TOKEN NETWORK_REASON <"$NETWORK_FOLDER/state"
  fi
}

_network_start() {
  mkdir -p -- "$NETWORK_FOLDER" "${NETWORK_GUARD_SCRIPT%/*}"
  read -r NETWORK_TOKEN </proc/sys/kernel/random/uuid
  _network_words
  _file_act "$NETWORK_GUARD_SCRIPT" 0700 root:root "$(_network_script)"$'\n'
  _file_act "$NETWORK_GUARD" 0644 root:root "$(_network_guard_unit)"$'\n'
  mkdir -p -- "${NETWORK_GUARD_LINK%/*}"
  ln -sfn -- "../${NETWORK_GUARD##*/}" "$NETWORK_GUARD_LINK"
  sync -- "${NETWORK_GUARD_LINK%/*}"
  cp -- "$NETWORK_GUARD_SCRIPT" "$NETWORK_FOLDER/script"
  rm -f -- "$NETWORK_FOLDER/reason"
  _network_state started
  _network_detach apply
}
# _network_words: NETWORK_DO makes the change in one transaction of Open vSwitch, NETWORK_UNDO takes it back.
_network_words() {
  local key have
  NETWORK_UNDO=(--if-exists del-br "$NETWORK_BRIDGE")
  if [[ -n ${OVS[Bridge $NETWORK_BRIDGE]-} ]]; then
    NETWORK_UNDO=()
    for key in "${NETWORK_SETTINGS[@]%%=*}"; do
      have=${OVS[Bridge $NETWORK_BRIDGE $key]-}
      if [[ -n $have || $key == datapath_type ]]; then
        _ovs_quoted "$key=$have"
        NETWORK_UNDO+=(-- set Bridge "$NETWORK_BRIDGE" "${QUOTED[@]}")
      else
        NETWORK_UNDO+=(-- remove Bridge "$NETWORK_BRIDGE" "${key%%:*}" "${key#*:}")
      fi
    done
    if [[ -z ${OVS[Port $NETWORK_NIC]-} ]]; then NETWORK_UNDO+=(-- --if-exists del-port "$NETWORK_BRIDGE" "$NETWORK_NIC"); fi
  fi
  _ovs_quoted "${NETWORK_SETTINGS[@]}"
  NETWORK_DO=(--may-exist add-br "$NETWORK_BRIDGE" -- set Bridge "$NETWORK_BRIDGE" "${QUOTED[@]}"
    -- --may-exist add-port "$NETWORK_BRIDGE" "$NETWORK_NIC")
}
# _network_script: the same functions again, for a bash of their own.
_network_script() {
  echo 'set -u; export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin'
  declare -p NETWORK_{FOLDER,ETC,GUARD,GUARD_LINK,GUARD_SCRIPT,ONLINE,TOKEN,SECONDS,NIC,BRIDGE,ADDRESS,SOURCE,FILES,DO,UNDO}
  declare -f _network_{state,has,apply,write,unwrite,undo,guard,guard_gone,locked,addressed}
  # shellcheck disable=SC2016  # for that other bash
  echo '"_network_$1"'
}
_network_guard_unit() {
  printf '%s\n' '[Unit]' 'Description=Take back a network change that was not confirmed' 'DefaultDependencies=no' \
    "RequiresMountsFor=${NETWORK_GUARD_SCRIPT%/*}" 'After=ovsdb-server.service' \
    'Before=ovs-vswitchd.service systemd-networkd.service' "ConditionPathExists=!$NETWORK_FOLDER/state" '' \
    '[Service]' 'Type=oneshot' "ExecStart=/bin/bash $NETWORK_GUARD_SCRIPT guard"
}
_network_detach() {
  local other=()
  if [[ $1 == apply ]]; then other=(--property="ExecStopPost=/bin/bash $NETWORK_FOLDER/script undo"); fi
  systemctl reset-failed "$NETWORK_UNIT" 2>/dev/null || :
  systemd-run --quiet --collect --unit="$NETWORK_UNIT" --property=Type=exec --property=TimeoutStopSec=120 "${other[@]}" \
    /bin/bash "$NETWORK_FOLDER/script" "$1"
}

# The main half. Exit status 1 has systemd run the other one, and so has anything that kills it.
_network_apply() {
  local until words
  # The script's answer is on its way to the operator; what the cut swallows of it, TCP sends again.
  sleep 0.1
  _network_state applying
  _network_write
  if ! words=$(ovs-vsctl --timeout=30 "${NETWORK_DO[@]}" 2>&1); then
    echo "Open vSwitch refused: ${words//$'\n'/ }" >"$NETWORK_FOLDER/reason"
    return 1
  fi
  networkctl reload
  if ! _network_addressed "$NETWORK_BRIDGE"; then
    echo "$NETWORK_BRIDGE did not get the address $NETWORK_ADDRESS within 20 s" >"$NETWORK_FOLDER/reason"
    return 1
  fi
  if ((${#NETWORK_FILES[@]} > 0)); then ip -4 addr flush dev "$NETWORK_NIC"; fi
  _network_state waiting
  until=$((SECONDS + NETWORK_SECONDS))
  while ((SECONDS < until)); do
    sleep 0.2
    _network_state
    if [[ $NETWORK_STATE == confirmed ]]; then return 0; fi
  done
  echo "nobody reached the host over $NETWORK_BRIDGE within $NETWORK_SECONDS s" >"$NETWORK_FOLDER/reason"
  return 1
}
_network_addressed() {
  local until=$((SECONDS + 20))
  while ((SECONDS < until)); do
    ADDRESSES=$(ip -o -4 addr show)
    if _network_has "$1" "$NETWORK_ADDRESS"; then return 0; fi
    sleep 0.1
  done
  return 1
}

_network_write() {
  local place file
  mkdir -p -- /run/systemd/network
  for ((place = 0; place < ${#NETWORK_FILES[@]}; place += 2)); do
    file=/run/systemd/network/${NETWORK_FILES[place]}
    (umask 077 && printf '%s' "${NETWORK_FILES[place + 1]}" >"$file")
    chown --reference="$NETWORK_SOURCE" -- "$file"
    chmod --reference="$NETWORK_SOURCE" -- "$file"
  done
}
_network_unwrite() {
  local place
  for ((place = 0; place < ${#NETWORK_FILES[@]}; place += 2)); do
    rm -f -- "/run/systemd/network/${NETWORK_FILES[place]}" "$NETWORK_ETC/${NETWORK_FILES[place]}" "$NETWORK_ONLINE"
  done
}

# The other half: nothing to do once it is confirmed.
_network_undo() {
  local reason='its process was ended'
  _network_locked
  _network_state
  case $NETWORK_STATE in
    confirmed | taken-back) return ;;
  esac
  if [[ -r $NETWORK_FOLDER/reason ]]; then reason=$(<"$NETWORK_FOLDER/reason"); fi
  _network_state taking-back "$reason"
  exec 9>&-
  _network_unwrite
  ovs-vsctl --timeout=20 "${NETWORK_UNDO[@]}" || ovs-vsctl --timeout=20 --no-wait "${NETWORK_UNDO[@]}"
  networkctl reload
  if ((${#NETWORK_FILES[@]} > 0)) && ! _network_addressed "$NETWORK_NIC"; then
    reason+="; and $NETWORK_NIC did not get its address back within 20 s"
  fi
  _network_guard_gone
  _network_state taken-back "$reason"
}
_network_locked() {
  exec 9>>"$NETWORK_FOLDER/lock"
  flock 9
}

# At the next boot: what was not confirmed is gone before Open vSwitch and systemd-networkd see it. Where the database
# does not answer, it may hold the bridge still: the boot after this one tries again.
_network_guard() {
  local status
  ovs-vsctl --timeout=30 --no-wait "${NETWORK_UNDO[@]}"
  status=$?
  _network_unwrite
  if ((status)); then return "$status"; fi
  _network_guard_gone
}
_network_guard_gone() {
  rm -f -- "$NETWORK_GUARD_LINK"
  rm -f -- "$NETWORK_GUARD" "$NETWORK_GUARD_SCRIPT"
  rmdir -- "${NETWORK_GUARD_SCRIPT%/*}" 2>/dev/null || :
  sync -- "${NETWORK_GUARD%/*}"
}

# _network_commit: from here on it lasts. The guard goes last: what is cut off before that is taken back at boot.
_network_commit() {
  local file
  _network_locked
  _network_state
  [[ $NETWORK_STATE == waiting ]]
  for file in "/run/systemd/network/$NETWORK_PREFIX"*; do
    [[ -e $file ]] || continue
    _network_online "$(<"$file")"
    _file_act "$NETWORK_ETC/${file##*/}" "$(stat -c %a -- "$file")" "$(stat -c %U:%G -- "$file")" "$(<"$file")"$'\n'
    rm -f -- "$file"
  done
  _network_guard_gone
  _network_state confirmed
}
# _network_online TEXT: netplan has each boot wait for its NICs by their names, two minutes for one that has no address
# any more; where TEXT is a file made from one of netplan's, boots wait for the bridge.
_network_online() {
  local made='^# Made from [^ ]*/10-netplan-[^ ]* by ovn-runbooks: [^ ]* is a port of the OVS bridge ([^ ]+)\.'
  [[ ${1%%$'\n'*} =~ $made ]] || return 0
  _file_act "$NETWORK_ONLINE" 0644 root:root \
    $'[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online -i '"${BASH_REMATCH[1]}"$'\n'
  systemctl daemon-reload
}
