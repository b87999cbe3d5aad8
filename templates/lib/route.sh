# shellcheck shell=bash
# The way out of a host, for whoever looks at its NIC.

# The default route with the lowest metric: DEFAULT_NIC and DEFAULT_GATEWAY. Empty: there is none.
_route_read() {
  local lines line field least='' hex
  _once route || return 0
  DEFAULT_NIC='' DEFAULT_GATEWAY=''
  mapfile -t -s 1 lines 2>/dev/null </proc/net/route
  for line in ${lines[@]+"${lines[@]}"}; do
    # Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
    # shellcheck disable=SC2206  # to be split: nothing in it is a pattern
    field=($line)
    # RTF_UP is 1, RTF_REJECT 0x200.
    if [[ ${field[1]} != 00000000 || ${field[7]} != 00000000 ]] || (((0x${field[3]} & 0x201) != 1)); then continue; fi
    if [[ -n $least ]] && ((field[6] >= least)); then continue; fi
    least=${field[6]} DEFAULT_NIC=${field[0]} hex=${field[2]}
    # shellcheck disable=SC2034  # read by name
    DEFAULT_GATEWAY=$((16#${hex:6:2})).$((16#${hex:4:2})).$((16#${hex:2:2})).$((16#${hex:0:2}))
  done
}
