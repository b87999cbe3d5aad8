# shellcheck shell=bash
# Verbs for any Debian or Ubuntu host: packages, files, services, kernel modules, reboot.

# _attributes PATH: REPLY becomes "MODE OWNER:GROUP" of PATH itself, TARGET what PATH links to; both are empty where
# that is yet to be asked for. One stat reads all that the script looks at.
_attributes() {
  if _once attributes; then
    unset ATTRIBUTES TARGETS
    declare -gA ATTRIBUTES=() TARGETS=()
    # shellcheck disable=SC2086  # plain words
    if [[ -n $STEPS_PATHS ]]; then _attributes_take "$(stat -c '%a %U:%G %N' -- $STEPS_PATHS 2>/dev/null)"; fi
  fi
  REPLY=${ATTRIBUTES[$1]:-} TARGET=${TARGETS[$1]:-}
}
# Takes lines of MODE OWNER:GROUP 'PATH' or MODE OWNER:GROUP 'PATH' -> 'TARGET'. stat writes a target that is not
# plain with more quotes, on one line in any case; it is left out.
_attributes_take() {
  local - IFS=$'\n' line path target
  set -f
  for line in $1; do
    path=${line#*\'}
    target=${path#*\'}
    path=${path%%\'*}
    ATTRIBUTES[$path]=${line%% \'*}
    if [[ $target == " -> '"*"'" ]]; then
      target=${target#*\'}
      target=${target%\'}
      if [[ $target != *\'* ]]; then TARGETS[$path]=$target; fi
    fi
  done
}

# package NAME[=VERSION]...: installed, all in one go. VERSION may end in "*".
package() { _step "package $*" '' _package "$@"; }
# _package_read NAME...: PACKAGE_VERSION of these, empty where one is not installed. Only these are asked for: to
# read all lines of a machine's packages takes bash longer than dpkg-query takes to give them.
_package_read() {
  local name version abbrev unread=()
  if _once packages; then
    unset PACKAGE_VERSION
    declare -gA PACKAGE_VERSION=()
  fi
  for name in "$@"; do
    if [[ -z ${PACKAGE_VERSION[$name]+read} ]]; then
      unread+=("$name")
      PACKAGE_VERSION[$name]=''
    fi
  done
  ((${#unread[@]} == 0)) && return
  while read -r abbrev name version; do
    # "ii" and "hi": installed whole, perhaps held.
    if [[ $abbrev == [ih]i ]]; then PACKAGE_VERSION[$name]=$version; fi
  done < <(dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n' -- "${unread[@]}" 2>/dev/null)
}
_package_look() {
  local want name version have missing=()
  _needs dpkg-query || return 3
  _package_read "${@%%=*}"
  for want in "$@"; do
    name=${want%%=*} version=
    if [[ $want == *=* ]]; then version=${want#*=}; fi
    have=${PACKAGE_VERSION[$name]}
    # shellcheck disable=SC2053  # the version is a pattern
    if [[ -z $have ]] || [[ -n $version && $have != $version ]]; then
      missing+=("$want")
      DIFF+="-$name ${have:-(not installed)}"$'\n'"+$name ${version:-(newest)}"$'\n'
    fi
  done
  ((${#missing[@]} == 0)) && return 0
  MESSAGE="not installed: ${missing[*]}"
  return 1
}
_package_act() {
  local apt=(apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold)
  export NEEDRESTART_SUSPEND=1
  # A run that was killed in the middle may have left packages unpacked but not configured.
  dpkg --configure -a || :
  _package_lists "${apt[@]}"
  # Whatever is half there of somebody else's stays: what apt would rather remove is theirs to mend.
  "${apt[@]}" install -y --no-remove --fix-broken
  "${apt[@]}" install -y --no-install-recommends --allow-downgrades -- "$@"
}

# _package_lists APT: brought up to date, after at most five minutes of waiting for whoever is doing the same; apt itself
# waits for dpkg's locks alone. Third-party sources may be broken without harm to ours: only the install decides.
_package_lists() {
  local said until=$((SECONDS + 300))
  until said=$("$@" update 2>&1); do
    if [[ $said == *'Could not get lock'* ]] && ((SECONDS < until)); then
      sleep 1
      continue
    fi
    echo 'The package lists could not be brought up to date.'
    break
  done
  printf '%s\n' "$said"
}

# file PATH MODE OWNER:GROUP CONTENT: replaced as a whole, never seen half-written.
file() { _step "file $1" "$1" _file "$@" ''; }
# secret_file PATH MODE OWNER:GROUP CONTENT: the same, and its content is never shown.
secret_file() { _step "file $1" "$1" _file "$@" secret; }
_file_look() {
  local path=$1 mode=$2 owner=$3 content=$4 secret=$5 now='' seen old=/dev/null
  if [[ -f $path && ! -L $path ]]; then
    _attributes "$path"
    seen=${REPLY:-$(stat -c '%a %U:%G' -- "$path")} || return 3
    # "read" succeeds only when it meets a NUL byte, which CONTENT cannot hold.
    if ! IFS= read -r -d '' now <"$path" && [[ $now == "$content" ]]; then
      [[ $seen == "${mode#0} $owner" ]] && return 0
      DIFF="-$path: mode and owner $seen"$'\n'"+$path: mode and owner ${mode#0} $owner"$'\n'
      return 1
    fi
    old=$path
  elif [[ -d $path && ! -L $path ]]; then
    MESSAGE="$path is a folder"
    return 3
  fi
  if [[ -n $secret ]]; then
    MESSAGE='the content differs (not shown)'
  else
    DIFF=$(diff -u --label "$old" --label "$path" -- "$old" <(printf '%s' "$content") | tr -d '\0')$'\n'
  fi
  return 1
}
_file_act() {
  local path=$1 mode=$2 owner=$3 content=$4 new="${1%/*}/.${1##*/}.ovn-runbooks"
  mkdir -p -- "${path%/*}"
  rm -f -- "$new"
  (
    umask 077
    printf '%s' "$content" >"$new"
  )
  chown -- "$owner" "$new"
  chmod -- "$mode" "$new"
  sync -- "$new"
  mv -fT -- "$new" "$path"
  sync -- "${path%/*}"
}

# line PATH LINE: the file has this line; it is added at the end where it is missing.
line() { _step "line $2 in $1" "$1" _line "$@"; }
_line_look() {
  local have
  if [[ -e $1 ]]; then
    while IFS= read -r have || [[ -n $have ]]; do
      [[ $have == "$2" ]] && return 0
    done <"$1"
  fi
  DIFF="+$2"$'\n'
  return 1
}
_line_act() {
  local path=$1 now='' mode=0644 owner=root:root
  if [[ -e $path ]]; then
    now=$(<"$path")$'\n'
    mode=$(stat -c %a -- "$path")
    owner=$(stat -c %U:%G -- "$path")
  fi
  _file_act "$path" "$mode" "$owner" "${now#$'\n'}$2"$'\n'
}

# directory PATH MODE OWNER:GROUP
directory() { _step "directory $1" "$1" _directory "$@"; }
_directory_look() {
  local seen='(missing)'
  if [[ -d $1 ]]; then
    REPLY=''
    if [[ ! -L $1 ]]; then _attributes "$1"; fi
    seen=${REPLY:-$(stat -L -c '%a %U:%G' -- "$1")} || return 3
    [[ $seen == "${2#0} $3" ]] && return 0
  elif [[ -e $1 ]]; then
    MESSAGE="$1 is not a folder"
    return 3
  fi
  DIFF="-$1: $seen"$'\n'"+$1: ${2#0} $3"$'\n'
  return 1
}
_directory_act() {
  mkdir -p -- "$1"
  chown -- "$3" "$1"
  chmod -- "$2" "$1"
}

# link PATH TARGET: PATH is a symbolic link to TARGET.
link() { _step "link $1" "$1" _link "$@"; }
_link_look() {
  local seen='(missing)'
  if [[ -L $1 ]]; then
    _attributes "$1"
    seen=${TARGET:-$(readlink -- "$1")}
    [[ $seen == "$2" ]] && return 0
  elif [[ -e $1 ]]; then
    MESSAGE="$1 exists and is not a link"
    return 3
  fi
  DIFF="-$1 -> $seen"$'\n'"+$1 -> $2"$'\n'
  return 1
}
_link_act() {
  mkdir -p -- "${1%/*}"
  ln -sfn -- "$2" "$1"
}

# absent PATH: no such file, folder or link.
absent() { _step "absent $1" "$1" _absent "$@"; }
_absent_look() {
  [[ ! -e $1 && ! -L $1 ]] && return 0
  DIFF="-$1"$'\n'
  return 1
}
_absent_act() { rm -rf -- "$1"; }

# service NAME STATE...: STATE is enabled, disabled, running, stopped, or starting: running or on its way, for a service
# that somebody else waits for.
service() { _step "service $1 ${*:2}" "$1" _service "$@"; }
declare -gA UNIT_ACTIVE=() UNIT_FILE=() UNIT_SINCE=()
# _unit_read NAME: UNIT_ACTIVE, UNIT_FILE and UNIT_SINCE of this service, read once; reading all of them at once
# takes longer than the few that one script is about.
_unit_read() {
  local unit="$1.service" key value
  _once "$unit" || return 0
  UNIT_ACTIVE[$unit]='' UNIT_FILE[$unit]='' UNIT_SINCE[$unit]=''
  while IFS='=' read -r key value; do
    case $key in
      ActiveState) UNIT_ACTIVE[$unit]=$value ;;
      UnitFileState) UNIT_FILE[$unit]=$value ;;
      InactiveExitTimestamp) UNIT_SINCE[$unit]=$value ;;
    esac
  done < <(systemctl show --timestamp=us+utc -p ActiveState -p UnitFileState -p InactiveExitTimestamp -- "$unit")
}
_service_look() {
  local unit="$1.service" want seen bad=0
  _needs systemctl || return 3
  _unit_read "$1"
  if [[ -z ${UNIT_FILE[$unit]:-} ]]; then
    MESSAGE="there is no service $1"
    return 2
  fi
  for want in "${@:2}"; do
    case $want in
      enabled | disabled) seen=${UNIT_FILE[$unit]} ;;
      running) seen=${UNIT_ACTIVE[$unit]/#active/running} ;;
      starting)
        seen=${UNIT_ACTIVE[$unit]}
        if [[ $seen == active || $seen == activating ]]; then seen=starting; fi
        ;;
      stopped)
        seen=${UNIT_ACTIVE[$unit]}
        if [[ $seen == inactive || $seen == failed ]]; then seen=stopped; fi
        ;;
      *)
        MESSAGE="$want is not a state of a service"
        return 3
        ;;
    esac
    # "static", "alias" and the like cannot be enabled and need not be.
    if [[ $seen != "$want" && ! ($want == enabled && $seen =~ ^(static|alias|indirect|generated|enabled-runtime)$) ]]; then
      bad=1
      DIFF+="-$1 ${seen}"$'\n'"+$1 $want"$'\n'
    fi
  done
  return "$bad"
}
_service_act() {
  local want seen=${UNIT_FILE[$1.service]}
  if [[ $(systemctl show -p NeedDaemonReload --value -- "$1.service") == yes ]]; then systemctl daemon-reload; fi
  for want in "${@:2}"; do
    case $want in
      # What is so already is left alone: for a service that has a script in /etc/init.d, too, it would take a second.
      enabled) [[ $seen == enabled ]] || systemctl enable -- "$1.service" ;;
      disabled) [[ $seen == disabled ]] || systemctl disable -- "$1.service" ;;
      running) systemctl start -- "$1.service" || _service_words "$1" ;;
      starting) _service_launch "$1" ;;
      stopped) systemctl stop -- "$1.service" ;;
    esac
  done
}
# _service_launch NAME: its start has begun, or has failed already.
_service_launch() {
  local until=$((SECONDS + 10))
  systemctl start --no-block -- "$1.service"
  while [[ $(systemctl show -p ActiveState --value -- "$1.service") == inactive ]]; do
    if ((SECONDS >= until)); then return 1; fi
    sleep 0.05
  done
}
# The service's own last lines say more than "the control process exited with error code".
_service_words() {
  journalctl --no-pager -o cat -n 20 -u "$1.service"
  return 1
}

# restart_on NAME PATH...: the service was started after every PATH last changed. This holds after a run
# that was killed between a change and the restart, too: it asks the host, not the run's memory.
restart_on() { _step "restart $1 on change" "$1" _restart_on "$@"; }
_restart_on_look() {
  local unit="$1.service" path since stamp
  _needs systemctl || return 3
  for path in "${@:2}"; do
    if ((STEPS_DRY_RUN)) && _was_changed "$path"; then
      DIFF+="+restart $1: $path would change"$'\n'
    fi
  done
  [[ -n $DIFF ]] && return 1
  _unit_read "$1"
  if [[ -z ${UNIT_FILE[$unit]:-} ]]; then
    MESSAGE="there is no service $1"
    return 2
  fi
  if [[ ${UNIT_ACTIVE[$unit]} != @(active|activating) ]]; then
    DIFF="-$1 ${UNIT_ACTIVE[$unit]}"$'\n'"+$1 running"$'\n'
    return 1
  fi
  since=$(date -u -d "${UNIT_SINCE[$unit]}" +%s%6N) || return 3
  while read -r stamp path; do
    stamp=${stamp/./}
    if ((${stamp:0:16} > since)); then DIFF+="+restart $1: $path is newer than its start"$'\n'; fi
  done < <(stat -L -c '%.6Y %n' -- "${@:2}" 2>/dev/null)
  [[ -z $DIFF ]]
}
_restart_on_act() {
  systemctl daemon-reload
  systemctl restart -- "$1.service" || _service_words "$1"
}

# kernel_module NAME...: loaded now and at every boot.
kernel_module() { _step "kernel module $*" '' _kernel_module "$@"; }
_kernel_module_loaded() {
  local name builtin release
  [[ -e /sys/module/${1//-/_} ]] && return 0
  read -r release </proc/sys/kernel/osrelease
  name="/${1//_/-}.ko" builtin="/lib/modules/$release/modules.builtin"
  [[ -r $builtin ]] && builtin=$(<"$builtin") && [[ ${builtin//_/-} == *"$name"* ]]
}
_kernel_module_look() {
  local name have=''
  if [[ -r /etc/modules-load.d/ovn-runbooks.conf ]]; then have=$(</etc/modules-load.d/ovn-runbooks.conf); fi
  for name in "$@"; do
    if ! _kernel_module_loaded "$name"; then DIFF+="+load $name"$'\n'; fi
    if [[ $'\n'$have$'\n' != *$'\n'"$name"$'\n'* ]]; then DIFF+="+load $name at boot"$'\n'; fi
  done
  [[ -z $DIFF ]]
}
_kernel_module_act() {
  local name
  for name in "$@"; do modprobe -- "$name"; done
  for name in "$@"; do
    if ! _line_look /etc/modules-load.d/ovn-runbooks.conf "$name"; then
      _line_act /etc/modules-load.d/ovn-runbooks.conf "$name"
    fi
  done
}

# ensure NAME GUARD ACT: the command line ACT is run unless the command line GUARD succeeds.
ensure() { _step "$1" '' _ensure "$@"; }
_ensure_look() { (eval "$2") >/dev/null 2>&1 </dev/null; }
_ensure_act() { eval "$3"; }

# reboot_when POLICY [MODULE]...: POLICY is needed, always or never. Needed: a host that has joined its overlay is
# rebooted only where it cannot load a kernel MODULE before; pods and databases live on it, and a reboot of it is
# somebody's decision. The script ends here, and its task reboots the host and runs it again.
reboot_when() {
  local reason='' boot
  _begin 'reboot when needed'
  _reboot_reason
  reason=$REPLY
  if [[ $1 == always ]]; then reason=${reason:-asked for on the command line}; fi
  if [[ -z $reason ]]; then _report ok; return; fi
  MESSAGE=$reason
  if [[ $1 == never ]]; then
    MESSAGE+='; not rebooted, as asked for on the command line'
    _report ok
  elif [[ $1 == needed ]] && _reboot_waits "${@:2}"; then
    MESSAGE+='; it waits, as the host has joined: --reboot always, or reboot it yourself when it suits'
    _report ok
  elif ((STEPS_DRY_RUN)); then
    _report would-change
  else
    read -r boot </proc/sys/kernel/random/boot_id
    _fact boot_id "$boot"
    ASKS=reboot
    _report changed
    _end 0
  fi
}
_reboot_reason() {
  local release
  REPLY=''
  read -r release </proc/sys/kernel/osrelease
  if [[ -e /run/reboot-required ]]; then
    _reboot_packages
    REPLY="a package asks for a reboot (${REPLY:-/run/reboot-required})"
  elif [[ -n $(compgen -G '/lib/modules/*/modules.dep') && ! -d /lib/modules/$release ]]; then
    REPLY="the modules of the running kernel $release are gone: a newer kernel is installed"
  fi
}
# _reboot_packages: REPLY becomes the packages that ask for a reboot, each once; empty where none has left its name.
_reboot_packages() {
  local name names=''
  if [[ -r /run/reboot-required.pkgs ]]; then
    while IFS= read -r name || [[ -n $name ]]; do
      if [[ -n $name && ", $names, " != *", $name, "* ]]; then names+="${names:+, }$name"; fi
    done </run/reboot-required.pkgs
  fi
  REPLY=$names
}
# _reboot_waits MODULE...: the host has joined its overlay, and can load every MODULE as it is.
_reboot_waits() {
  local name remote
  for name in "$@"; do
    if ! _kernel_module_loaded "$name" && ! modprobe --dry-run --quiet -- "$name" 2>/dev/null; then
      MESSAGE+="; $name cannot be loaded before it"
      return 1
    fi
  done
  hash ovs-vsctl 2>/dev/null || return 1
  # A database that does not answer may well be that of a host that has joined.
  remote=$(ovs-vsctl --timeout=20 --if-exists get Open_vSwitch . external_ids:ovn-remote 2>/dev/null) || return 0
  [[ -n $remote ]]
}

# reboot_now BOOT_ID: reboot, unless this is no longer the boot BOOT_ID.
reboot_now() {
  local boot
  _begin 'reboot'
  read -r boot </proc/sys/kernel/random/boot_id
  if [[ $boot != "$1" ]]; then
    MESSAGE='already rebooted'
    _report ok
    return
  fi
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  # After the answer is out: the connection goes down with the host.
  if ! _do systemd-run --quiet --collect --on-active=1s --timer-property=AccuracySec=100ms systemctl reboot; then
    _last "$STEPS_FOLDER/output"
    OUTPUT=$REPLY MESSAGE='the reboot could not be asked for'
    _fail
  fi
  _report changed
}

# sysctl NAME KEY=VALUE...: kernel settings, now and at every boot, in a file of their own. A KEY is a path below
# /proc/sys, such as net/ipv4/ip_forward: dots may stand in a NIC's name.
sysctl() { _step "sysctl ${*:2}" '' _sysctl "$@"; }
_sysctl_look() {
  local want now have=''
  _sysctl_file "$1"
  if [[ -r $REPLY ]]; then have=$(<"$REPLY"); fi
  for want in "${@:2}"; do
    now='(none)'
    if [[ -r /proc/sys/${want%%=*} ]]; then IFS= read -r now <"/proc/sys/${want%%=*}"; fi
    if [[ $now != "${want#*=}" ]]; then DIFF+="-${want%%=*}=$now"$'\n'"+$want"$'\n'; fi
    if [[ $'\n'$have$'\n' != *$'\n'"$want"$'\n'* ]]; then DIFF+="+$want at boot"$'\n'; fi
  done
  [[ -z $DIFF ]]
}
_sysctl_act() {
  local want text=''
  for want in "${@:2}"; do
    text+="$want"$'\n'
    printf '%s\n' "${want#*=}" >"/proc/sys/${want%%=*}"
  done
  _sysctl_file "$1"
  _file_act "$REPLY" 0644 root:root "$text"
}
_sysctl_file() { REPLY=/etc/sysctl.d/90-ovn-runbooks-$1.conf; }
