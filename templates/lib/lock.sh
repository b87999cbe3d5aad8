# shellcheck shell=bash
# The cluster's lock: held by a script on the master for as long as its run lives.

# hold_lock OWNER SECONDS: take the lock, or say who has it; then hold it for as long as beats come on the
# input. The lock is the kernel's, so it is free again as soon as this script ends, however it ends; SECONDS
# of silence end it, as the operator's machine may have gone without a word.
hold_lock() {
  local owner='another run' ago
  _begin 'cluster lock'
  # Other scripts on this host must not wait for this one.
  exec {STEPS_LOCK}>&- {CLUSTER_LOCK}>>"$STEPS_FOLDER/cluster.lock"
  if ! flock -n "$CLUSTER_LOCK"; then
    IFS= read -r owner <"$STEPS_FOLDER/cluster.owner"
    ago=$((EPOCHSECONDS - $(stat -c %Y -- "$STEPS_FOLDER/cluster.owner" 2>/dev/null || echo "$EPOCHSECONDS")))
    # shellcheck disable=SC2034  # read by _report
    MESSAGE="held by $owner; last sign of life $ago s ago (after $2 s without one it is free)"
    _fail
  fi
  printf '%s\n' "$1" >"$STEPS_FOLDER/cluster.owner"
  _report ok
  while IFS= read -r -t "$2" _; do printf '%s\n' "$1" >"$STEPS_FOLDER/cluster.owner"; done
  rm -f -- "$STEPS_FOLDER/cluster.owner"
}
