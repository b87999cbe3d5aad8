# shellcheck shell=bash
# The engine under every script: it looks, acts only if it must, and reports one JSON line a step.
#
# The caller sets STEPS_MARK (the run's marker), STEPS_DRY_RUN (0 or 1), STEPS_WAIT (seconds to wait for
# another script on this host), STEPS_PATHS (plain paths that the steps look at, between spaces) and
# STEPS_OWNER (who runs this, for the one who has to wait).
#
# A verb NAME is two functions: NAME_look says by its status whether the host is as wanted (0 yes, 1 no,
# 2 cannot be looked at, 3 cannot be mended) and may set DIFF and MESSAGE; NAME_act makes it so.

set -u
unset BASH_ENV CDPATH QUOTING_STYLE
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
DEBIAN_FRONTEND=noninteractive
export LC_ALL PATH HOME DEBIAN_FRONTEND
umask 022
# In bash 5.2 and later "&" in a replacement means the match.
shopt -u patsub_replacement 2>/dev/null
# A lost connection must not end the script; a handler (unlike "ignore") is not inherited by commands.
trap : HUP PIPE

STEPS_FOLDER=/run/ovn-runbooks
STEPS_CAP=65536
STEPS_COUNT=0
STEPS_TOUCHED=$'\n'
STEPS_READ=' '
DIFF='' MESSAGE='' OUTPUT='' ASKS=''

# _json TEXT: REPLY becomes TEXT as a JSON string. No fork; every byte but NUL survives.
_json() {
  local s=$1 i c
  s=${s//\\/\\\\}
  s=${s//\"/\\\"}
  if [[ $s == *[[:cntrl:]]* ]]; then
    s=${s//$'\n'/\\n}
    s=${s//$'\t'/\\t}
    s=${s//$'\r'/\\r}
    if [[ $s == *[[:cntrl:]]* ]]; then
      for i in 0{1..9} 0{a..f} 1{0..9} 1{a..f}; do
        printf -v c '%b' "\\x$i"
        s=${s//"$c"/\\u00$i}
      done
    fi
  fi
  REPLY="\"$s\""
}

_say() { printf '%s%s\n' "$STEPS_MARK" "$1" >&"$STEPS_FD" || :; }

_cap() {
  REPLY=$1
  if ((${#REPLY} > STEPS_CAP)); then
    REPLY="${REPLY:0:STEPS_CAP}"$'\n'"... (truncated, $((${#1} - STEPS_CAP)) bytes more)"$'\n'
  fi
}

_begin() {
  STEP_NAME=$1 STEP_BEGAN=${EPOCHREALTIME/./}
  DIFF='' MESSAGE='' OUTPUT='' ASKS=''
  _json "$1"
  _say "{\"begin\":$REPLY}"
}

# _report STATUS: the line that ends a step.
_report() {
  local line micro=$((${EPOCHREALTIME/./} - STEP_BEGAN))
  STEPS_COUNT=$((STEPS_COUNT + 1))
  _json "$STEP_NAME"
  printf -v line '{"step":%s,"status":"%s","seconds":%d.%06d' "$REPLY" "$1" $((micro / 1000000)) $((micro % 1000000))
  if [[ -n $DIFF ]]; then _cap "$DIFF"; _json "$REPLY"; line+=",\"diff\":$REPLY"; fi
  if [[ -n $MESSAGE ]]; then _cap "$MESSAGE"; _json "$REPLY"; line+=",\"message\":$REPLY"; fi
  if [[ -n $OUTPUT ]]; then _cap "$OUTPUT"; _json "$REPLY"; line+=",\"output\":$REPLY"; fi
  if [[ -n $ASKS ]]; then line+=",\"asks\":\"$ASKS\""; fi
  _say "$line}"
}

_fact() {
  local name
  _json "$1"; name=$REPLY
  _json "$2"
  _say "{\"fact\":$name,\"value\":$REPLY}"
}

# _secret NAME TEXT: a fact that nobody may ever see; TEXT must not come from a command line.
_secret() {
  local name
  _json "$1"; name=$REPLY
  _json "$2"
  _say "{\"secret\":$name,\"value\":$REPLY}"
}

_end() {
  _say "{\"end\":$STEPS_COUNT}"
  exit "$1"
}

_fail() {
  _report failed
  _end 1
}

# _changed NAME: remember that a step changed, or would change, what NAME stands for (a path, a service).
_changed() { STEPS_TOUCHED+="$1"$'\n'; }
_was_changed() { [[ $STEPS_TOUCHED == *$'\n'"$1"$'\n'* ]]; }

# Verbs that cache what they read ask whether it was read since the last change.
_forget() { STEPS_READ=' '; }
_once() { [[ $STEPS_READ == *" $1 "* ]] && return 1; STEPS_READ+="$1 "; }

# _last FILE: REPLY becomes the end of FILE, NUL bytes left out.
_last() {
  local size
  size=$(stat -c %s -- "$1" 2>/dev/null) || size=0
  if ((size > STEPS_CAP)); then
    REPLY="... (the first $((size - STEPS_CAP)) bytes are left out)"$'\n'$(tail -c "$STEPS_CAP" -- "$1" | tr -d '\0')
  else
    REPLY=$(tr -d '\0' <"$1")
  fi
}

# _do FUNCTION ARGS: run it in a subshell that stops at the first failure, without the step lines'
# descriptor and without the lock's, so that a daemon started by it can hold neither. Whoever calls it as a
# condition takes the first half back: there bash ignores "set -e" all the way down.
_do() {
  : >"$STEPS_FOLDER/output"
  (
    set -e
    exec {STEPS_FD}>&- {STEPS_LOCK}>&-
    "$@"
  ) >"$STEPS_FOLDER/output" 2>&1 </dev/null
  local status=$?
  _forget
  return "$status"
}

# _step NAME TOUCHES VERB ARGS: one whole step. TOUCHES is what a later restart_on may name, or empty.
_step() {
  local touches=$2 verb=$3 look diff status
  _begin "$1"
  shift 3
  "${verb}_look" "$@"
  look=$?
  case $look in
    0) _report ok; return ;;
    1) ;;
    2) if ((!STEPS_DRY_RUN)); then _fail; fi ;;
    *) _fail ;;
  esac
  if [[ -n $touches ]]; then _changed "$touches"; fi
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  diff=$DIFF
  _do "${verb}_act" "$@"
  status=$?
  if ((status)); then
    _last "$STEPS_FOLDER/output"
    OUTPUT=$REPLY DIFF=''
    MESSAGE=${MESSAGE:+$MESSAGE; }'the change failed'
    _fail
  fi
  DIFF='' MESSAGE=''
  if ! "${verb}_look" "$@"; then
    _last "$STEPS_FOLDER/output"
    OUTPUT=$REPLY
    MESSAGE=${MESSAGE:+$MESSAGE; }'still not as wanted after the change'
    _fail
  fi
  DIFF=$diff
  _report changed
}

# _needs TOOL: for a look; status 2 with a message where the tool is not there (yet).
_needs() {
  hash "$1" 2>/dev/null && return 0
  MESSAGE="$1 is not installed"
  return 2
}

_lock() {
  local owner='another script'
  # After a boot another script may make it at the same moment.
  if ! [[ -d $STEPS_FOLDER ]] && ! mkdir -m 0700 -- "$STEPS_FOLDER" && ! [[ -d $STEPS_FOLDER ]]; then
    _begin lock
    MESSAGE="$STEPS_FOLDER cannot be made"
    _fail
  fi
  exec {STEPS_LOCK}>>"$STEPS_FOLDER/lock"
  if ! flock -n "$STEPS_LOCK"; then
    IFS= read -r owner <"$STEPS_FOLDER/owner"
    _begin "wait for $owner"
    if ! flock -w "$STEPS_WAIT" "$STEPS_LOCK"; then
      MESSAGE="after $STEPS_WAIT s $owner still runs on this host"
      _fail
    fi
    _report ok
  fi
  printf '%s\n' "$STEPS_OWNER" >"$STEPS_FOLDER/owner"
}

# steps_run BODY: the last line of every script. Whatever was cut off before it has run nothing.
steps_run() {
  exec {STEPS_FD}>&1 1>&2
  # What a login profile printed may have left the line open.
  printf '\n' >&"$STEPS_FD"
  if ((EUID != 0)); then
    _begin privileges
    MESSAGE="this needs root, and runs as $(id -un)"
    _fail
  fi
  STEPS_LOCK=
  # A dry run writes nothing, so it takes no lock; what it sees may be in the middle of another run.
  if ((!STEPS_DRY_RUN)); then _lock; fi
  _forget
  "$1"
  _end 0
}
