# shellcheck shell=bash
# What a host is and has, as facts. Nothing here changes anything, and what is asked for is read with as few
# forks as possible: /proc, /sys and /etc by builtins, each tool at most once.
# needs nodefacts.sh
# needs route.sh

# gather NAME[=WORDS]...: one fact each, in this order. A fact that cannot be told is left out: what reads
# the facts must say so. WORDS are separated by spaces. Another fact NAME is another function _gather_NAME that sets
# REPLY; a fact of several lines has one thing a line, its words separated by spaces.
gather() {
  local want name words
  if (($# > 2)); then _begin 'gather facts'; else _begin "gather $*"; fi
  for want in "$@"; do
    name=${want%%=*} words=()
    if ! declare -F "_gather_$name" >/dev/null; then
      MESSAGE="there is no fact $name"
      _fail
    fi
    if [[ $want == *=* ]]; then
      set -f
      # shellcheck disable=SC2206  # to be split; a version may hold "*"
      words=(${want#*=})
      set +f
    fi
    REPLY=''
    if "_gather_$name" ${words[@]+"${words[@]}"}; then _fact "$name" "${REPLY%$'\n'}"; fi
  done
  _report ok
}

# _read_text FILE: REPLY becomes its text, without the newlines at its end and without a fork.
_read_text() {
  REPLY=''
  [[ -r $1 && ! -d $1 ]] || return 1
  # "read" comes to the end of the file before it meets a NUL byte, and then says 1.
  IFS= read -r -d '' REPLY 2>/dev/null <"$1"
  while [[ $REPLY == *$'\n' ]]; do REPLY=${REPLY%$'\n'}; done
}

# --- system

_gather_os_read() {
  local file=/etc/os-release key value
  _once os_release || return 0
  unset OS_RELEASE
  declare -gA OS_RELEASE=()
  [[ -r $file ]] || file=/usr/lib/os-release
  [[ -r $file ]] || return 0
  while IFS='=' read -r key value || [[ -n $key ]]; do
    value=${value#[\"\']}
    if [[ -n $key ]]; then OS_RELEASE[$key]=${value%[\"\']}; fi
  done <"$file"
}
_gather_os_field() {
  _gather_os_read
  REPLY=${OS_RELEASE[$1]:-}
  [[ -n $REPLY ]]
}
_gather_os_id() { _gather_os_field ID; }
# Debian's testing and unstable have no version.
_gather_os_version() { _gather_os_field VERSION_ID; }
_gather_os_name() { _gather_os_field PRETTY_NAME; }
_gather_kernel() { _read_text /proc/sys/kernel/osrelease; }
# By the names of Debian; bash itself was built for it.
_gather_architecture() {
  case $HOSTTYPE in
    x86_64) REPLY=amd64 ;;
    aarch64) REPLY=arm64 ;;
    i?86) REPLY=i386 ;;
    *) REPLY=$HOSTTYPE ;;
  esac
}
# sd_booted(3): the folder is there only where systemd is process 1.
_gather_systemd() { if [[ -d /run/systemd/system ]]; then REPLY=yes; else REPLY=no; fi; }
_gather_machine_id() { _read_text /etc/machine-id && [[ -n $REPLY ]]; }
_gather_boot_id() { _read_text /proc/sys/kernel/random/boot_id; }
_gather_hostname() { _read_text /proc/sys/kernel/hostname; }

# --- size

# Those that this process may use and that are switched on: the list of allowed ones names absent ones, too.
_gather_cpus() {
  local online line allowed='' cpu count=0
  _read_text /sys/devices/system/cpu/online || return 1
  _gather_numbers "$REPLY"
  online=" $REPLY"
  while IFS= read -r line; do
    if [[ $line == Cpus_allowed_list:* ]]; then allowed=${line#*:}; fi
  done </proc/self/status
  _gather_numbers "${allowed//[[:space:]]/}"
  for cpu in $REPLY; do
    if [[ $online == *" $cpu "* ]]; then count=$((count + 1)); fi
  done
  REPLY=$count
  ((count > 0))
}
# _gather_numbers RANGES: REPLY becomes "0 1 4 " for "0-1,4".
_gather_numbers() {
  local range ranges number
  IFS=, read -r -a ranges <<<"$1"
  REPLY=''
  for range in ${ranges[@]+"${ranges[@]}"}; do
    for ((number = ${range%-*}; number <= ${range#*-}; number++)); do REPLY+="$number "; done
  done
}
_gather_memory_mib() {
  local key value
  while read -r key value _; do
    if [[ $key == MemTotal: ]]; then
      REPLY=$((value / 1024))
      return 0
    fi
  done </proc/meminfo
  return 1
}
# FOLDER MIB, what is left for packages and logs.
_gather_disk_free_mib() { _gather_disk free; }
# FOLDER INODES; a file system without a fixed number of them is left out.
_gather_inodes_free() { _gather_disk inodes; }
_gather_disk() {
  local line folder free size inodes_free inodes
  if _once disk; then DISK=$(stat -f -c '%n %a %S %d %c' -- / /var 2>/dev/null); fi
  REPLY=''
  [[ -n $DISK ]] || return 1
  while read -r folder free size inodes_free inodes; do
    if [[ $1 == free ]]; then
      REPLY+="$folder $((free * size / 1048576))"$'\n'
    elif ((inodes > 0)); then
      REPLY+="$folder $inodes_free"$'\n'
    fi
  done <<<"$DISK"
}

# --- clock

# Microseconds since 1970. Read it last: the task knows from the seconds of the steps when this was.
_gather_clock() { REPLY=${EPOCHREALTIME/./}; }
# The kernel's own word, as timedatectl reads it: the greatest error is under 16 s (adjtimex(2), 64 bit). Asking
# timedatectl would start a service, and not every time service is systemd's.
_gather_time_synchronised() {
  local number
  case $HOSTTYPE in
    x86_64) number=159 ;;
    aarch64 | riscv64) number=171 ;;
    powerpc64le | s390x) number=124 ;;
    *) REPLY=unknown; return ;;
  esac
  # shellcheck disable=SC2016  # variables of Perl
  REPLY=$(perl -e '
    my $timex = "\0" x 512;
    my $state = syscall($ARGV[0] + 0, $timex);
    my (undef, undef, undef, $error) = unpack("q4", $timex);
    print $state < 0 ? "unknown" : $error < 16_000_000 ? "yes" : "no";
  ' "$number" 2>/dev/null)
  REPLY=${REPLY:-unknown}
}

# --- network

# NIC ADDRESS/PREFIX, every IPv4 address.
_gather_addresses() {
  local nic address found=''
  while read -r _ nic _ address _; do
    # An address with a peer says the prefix at the peer's.
    if [[ -n $address && $address != */* ]]; then address+=/32; fi
    if [[ -n $address ]]; then found+="$nic $address"$'\n'; fi
  done < <(ip -o -4 addr show 2>/dev/null)
  REPLY=$found
  [[ -n $found ]]
}
_gather_default_nic() { _route_read; REPLY=$DEFAULT_NIC; }
_gather_default_gateway() { _route_read; REPLY=$DEFAULT_GATEWAY; }
# NIC MTU MANAGER, every interface: MANAGER is what configures it (networkd, NetworkManager, ifupdown, none).
_gather_nics() {
  local folder nic index mtu state='' found=''
  if _read_text /run/network/ifstate; then state=$'\n'$REPLY$'\n'; fi
  for folder in /sys/class/net/*/; do
    nic=${folder%/} nic=${nic##*/} index='' mtu=''
    { read -r mtu <"${folder}mtu"; read -r index <"${folder}ifindex"; } 2>/dev/null
    if [[ -z $mtu ]]; then continue; fi  # gone in the meantime
    _gather_nic_manager "$nic" "$index" "$state"
    found+="$nic $mtu $REPLY"$'\n'
  done
  REPLY=$found
  [[ -n $found ]]
}
_gather_nic_manager() {
  if _read_text "/run/systemd/netif/links/$2" && [[ $REPLY == *NETWORK_FILE=/* ]]; then
    REPLY=networkd
  elif _read_text "/run/NetworkManager/devices/$2" && [[ $REPLY == *managed=true* || $REPLY == *managed=1* ]]; then
    REPLY=NetworkManager
  elif [[ $3 == *$'\n'"$1="* ]]; then
    REPLY=ifupdown
  else
    REPLY=none
  fi
}
# PROTO PORT, what something listens on, on any address.
_gather_listening() {
  local proto file lines line field found=$'\n' port
  for proto in tcp udp; do
    for file in /proc/net/"$proto" /proc/net/"$proto"6; do
      [[ -r $file ]] || continue
      mapfile -t -s 1 -n 512 lines 2>/dev/null <"$file"
      for line in ${lines[@]+"${lines[@]}"}; do
        # sl local_address rem_address st ...: 0A listens, 07 is a UDP socket without a peer.
        # shellcheck disable=SC2206  # to be split: nothing in it is a pattern
        field=($line)
        if [[ $proto == tcp && ${field[3]} != 0A ]]; then break; fi  # the kernel tells those that listen first
        if [[ $proto == udp && ${field[3]} != 07 ]]; then continue; fi
        port=$((16#${field[1]##*:}))
        if [[ $found != *$'\n'"$proto $port"$'\n'* ]]; then found+="$proto $port"$'\n'; fi
      done
    done
  done
  REPLY=${found#$'\n'}
}

# --- kernel, tools

# modules=NAME...: NAME STATE, where STATE is loaded, available (modprobe would find it, or it is built in) or missing.
_gather_modules() {
  local name state found=''
  for name in "$@"; do
    state=missing
    if [[ -e /sys/module/${name//-/_} ]]; then
      state=loaded
    elif modinfo -F filename -- "$name" >/dev/null 2>&1; then
      state=available
    fi
    found+="$name $state"$'\n'
  done
  REPLY=$found
}
_gather_tun_device() { if [[ -c /dev/net/tun ]]; then REPLY=yes; else REPLY=no; fi; }
# tools=NAME...: NAME PATH, or NAME - for one that is not there.
_gather_tools() {
  local name found=''
  for name in "$@"; do
    if hash "$name" 2>/dev/null; then found+="$name ${BASH_CMDS[$name]}"$'\n'; else found+="$name -"$'\n'; fi
  done
  REPLY=$found
}

# --- Open vSwitch and OVN

_gather_ovs_read() {
  local lines
  _once ovs_external_ids || return 0
  OVS_SYSTEM_ID='' OVS_REMOTE='' OVS_ENCAP_IP=''
  if _read_text /etc/openvswitch/system-id.conf; then OVS_SYSTEM_ID=$REPLY; fi
  hash ovs-vsctl 2>/dev/null && [[ -S /run/openvswitch/db.sock ]] || return 0
  # A database that does not answer is one that a later start brings up; what is known so far stands.
  mapfile -t lines < <(ovs-vsctl --timeout=3 --no-wait --if-exists get Open_vSwitch . \
    external_ids:system-id external_ids:ovn-remote external_ids:ovn-encap-ip 2>/dev/null)
  ((${#lines[@]} == 3)) || return 0
  OVS_SYSTEM_ID=${lines[0]//\"/} OVS_REMOTE=${lines[1]//\"/} OVS_ENCAP_IP=${lines[2]//\"/}
}
_gather_system_id() { _gather_ovs_read; REPLY=$OVS_SYSTEM_ID; }
_gather_ovn_remote() { _gather_ovs_read; REPLY=$OVS_REMOTE; }
_gather_ovn_encap_ip() { _gather_ovs_read; REPLY=$OVS_ENCAP_IP; }

# --- packages

# DPKG_STATES becomes dpkg's list, a line for each package: want, state and error as one letter each, name, version.
_gather_dpkg_read() {
  # Bash reads this in blocks; a "while read" would take it byte by byte.
  if _once dpkg_states; then
    DPKG_STATES=$'\n'$(dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n' 2>/dev/null)$'\n'
  fi
  ((${#DPKG_STATES} > 2))
}
# _gather_installed NAME: REPLY becomes its version, or empty.
_gather_installed() {
  REPLY=''
  if [[ $DPKG_STATES =~ $'\n'.i.\ "$1"\ ([^$'\n']+) ]]; then REPLY=${BASH_REMATCH[1]}; fi
}
# packages=NAME[=VERSION]...: NAME STATE VERSION, where STATE is installed, available (in the package lists) or
# missing, and VERSION is "-" for a missing one.
_gather_packages() {
  local want name version missing=() found=''
  local -A installed=()
  if ! _once package_states && [[ $PACKAGES_ASKED == "$*" ]]; then
    REPLY=$PACKAGES_FOUND
    return 0
  fi
  PACKAGES_ASKED='' PACKAGES_FOUND=''
  _gather_dpkg_read || return 1
  for want in "$@"; do
    name=${want%%=*} version='*'
    if [[ $want == *=* ]]; then version=${want#*=}; fi
    _gather_installed "$name"
    # shellcheck disable=SC2053  # the version is a pattern
    if [[ -n $REPLY && $REPLY == $version ]]; then installed[$want]=$REPLY; else missing+=("$want"); fi
  done
  _gather_candidates ${missing[@]+"${missing[@]}"}
  for want in "$@"; do
    name=${want%%=*}
    if [[ -n ${installed[$want]:-} ]]; then
      found+="$name installed ${installed[$want]}"$'\n'
    elif [[ -n ${APT_CANDIDATE[$name]:-} ]]; then
      found+="$name available ${APT_CANDIDATE[$name]}"$'\n'
    else
      found+="$name missing -"$'\n'
    fi
  done
  PACKAGES_ASKED="$*" PACKAGES_FOUND=$found
  REPLY=$found
}
# _gather_candidates NAME[=VERSION]...: APT_CANDIDATE of those that the package lists have.
_gather_candidates() {
  local want line name='' version
  local -A pattern=()
  unset APT_CANDIDATE
  declare -gA APT_CANDIDATE=()
  (($# > 0)) || return 0
  for want in "$@"; do
    name=${want%%=*} pattern[$name]=''
    if [[ $want == *=* ]]; then pattern[$name]=${want#*=}; fi
  done
  # Without these two options apt writes its cache.
  while IFS= read -r line; do
    case $line in
      [![:space:]]*:) name=${line%:} ;;
      '  Candidate: '*)
        version=${line#*: }
        if [[ -z ${pattern[$name]} && $version != '(none)' ]]; then APT_CANDIDATE[$name]=$version; fi
        ;;
      '     '[![:space:]]* | ' *** '*)
        # One line for each version that there is; apt can be told to take any.
        read -r version _ <<<"${line#' ***'}"
        # shellcheck disable=SC2053  # the version is a pattern
        if [[ -n ${pattern[$name]} && $version == ${pattern[$name]} ]]; then
          APT_CANDIDATE[$name]=${APT_CANDIDATE[$name]:-$version}
        fi
        ;;
    esac
  done < <(apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy -- "${!pattern[@]}" 2>/dev/null)
}
# STATE NAME VERSION, packages that dpkg left in the middle of something; STATE as dpkg -l shows it.
_gather_packages_unfinished() {
  local rest found=''
  _gather_dpkg_read || return 1
  rest=$DPKG_STATES
  # Neither installed, nor gone, nor gone but for its settings; or to be installed again.
  while [[ $rest =~ $'\n'(.([^inc].|.R)\ [^$'\n']*) ]]; do
    found+="${BASH_REMATCH[1]/  / }"$'\n'
    rest=${rest#*"${BASH_REMATCH[0]}"}
  done
  REPLY=$found
}
# PROCESS COMMAND, who holds the package manager's lock; empty when it is free.
_gather_package_lock() {
  local lines line pid fd lock held='' seen=' '
  mapfile -t lines </proc/locks
  for line in ${lines[@]+"${lines[@]}"}; do
    [[ $line =~ POSIX.*WRITE\ ([0-9]+)\  ]] || continue
    pid=${BASH_REMATCH[1]}
    if [[ $seen == *" $pid "* ]] || ! _read_text "/proc/$pid/comm"; then continue; fi
    seen+="$pid "
    # Comparing every descriptor of every process that locks anything takes too long.
    if [[ $REPLY != @(apt|dpkg|aptitude|unattended|packagekit|synaptic|nala|python)* ]]; then continue; fi
    for fd in /proc/"$pid"/fd/*; do
      for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock; do
        if [[ $fd -ef $lock ]]; then held="$pid $REPLY"; fi
      done
    done
  done
  REPLY=$held
}
# package_source=NAME[=VERSION]...: URL STATE [WHY], whether the configured sources can be connected to; STATE is
# reachable or unreachable. Empty where nothing had to be asked: each package is installed or in the lists.
_gather_package_source() {
  local uri base seen=' ' Http='' Https=''
  _gather_packages "$@" || return 1
  if [[ $'\n'$REPLY != *' missing -'* ]]; then REPLY=''; return 0; fi
  # A proxy that only a program knows (Proxy-Auto-Detect), or that one host alone has, is not looked for.
  eval "$(apt-config shell Http Acquire::http::Proxy Https Acquire::https::Proxy 2>/dev/null)"
  Http=${Http:-${http_proxy:-}} Https=${Https:-${https_proxy:-$Http}}
  while read -r uri _; do
    uri=${uri//\'/}
    if [[ ${uri#mirror+} =~ ^(https?://[^/]+)/ && $seen != *" ${BASH_REMATCH[1]} "* ]]; then
      seen+="${BASH_REMATCH[1]} "
    fi
  done < <(apt-get update --print-uris 2>/dev/null)
  REPLY=$(
    # Side by side: a dead one takes its 5 seconds.
    for base in $seen; do
      if [[ $base == https:* ]]; then _gather_connect "$base" "$Https" & else _gather_connect "$base" "$Http" & fi
    done
    wait
  )
  REPLY=${REPLY:-- unreachable no package source is configured}
}
# _gather_connect URL PROXY: print one line of package_source.
_gather_connect() {
  local to=$1 port=80 host words
  if [[ -n $2 && $2 != DIRECT ]]; then to=$2; fi
  if [[ $to == https:* ]]; then port=443; fi
  host=${to#*://} host=${host%%/*} host=${host##*@}
  if [[ $host =~ ^(.*):([0-9]+)$ ]]; then host=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}; fi
  host=${host#[} host=${host%]}
  # shellcheck disable=SC2016  # the inner bash's
  if words=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' connect "$host" "$port" 2>&1); then
    printf '%s reachable\n' "$1"
  else
    words=${words%%$'\n'*} words=${words#connect: }
    printf '%s unreachable %s port %s: %s\n' "$1" "$host" "$port" "${words:-no answer in 5 s}"
  fi
}

# show_file FACT PATH: the fact FACT is the text of the file, or empty where there is none.
show_file() {
  local text=''
  _begin "read $2"
  if [[ -r $2 ]]; then IFS= read -r -d '' text <"$2"; fi
  _fact "$1" "${text:0:65536}"
  _report ok
}
