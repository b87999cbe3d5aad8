# shellcheck shell=bash
# Packets over the overlay: a temporary logical switch, on each node a port of it in a network namespace of its own,
# and pings between them. Nothing of it is meant to last: its steps are ok, and each part begins by taking away
# what a probe that was killed has left. The namespace is made first and goes last, so that it tells of the rest.

TRAFFIC_SWITCH=ovn-runbooks-probe
TRAFFIC_NAMESPACE=ovn-runbooks-probe
TRAFFIC_PORT=ovnrbprobe

# _traffic_begin NAME: status 1 in a dry run, whose step is then over.
_traffic_begin() {
  _begin "$1"
  if ((!STEPS_DRY_RUN)); then return 0; fi
  MESSAGE='dry run: no packets are sent'
  _report ok
  return 1
}
# _traffic_do MESSAGE FUNCTION ARGS: what fails ends the script with the words of the tool.
_traffic_do() {
  local status
  _do "${@:2}"
  status=$?
  if ((!status)); then return 0; fi
  _last "$STEPS_FOLDER/output"
  # shellcheck disable=SC2034  # read by _report
  OUTPUT=$REPLY MESSAGE=$1
  _fail
}

# traffic_switch PORT ADDRESSES...: the logical switch, with these ports; ADDRESSES is one word, "MAC IP".
traffic_switch() {
  _traffic_begin 'traffic switch' || return 0
  _needs ovn-nbctl || _fail
  _traffic_do 'what an earlier probe left could not be removed from the northbound database' _traffic_switch_remove
  _traffic_do 'the northbound database did not take the switch, or ovn-northd did not pass it on' _traffic_switch_add "$@"
  _report ok
}
_traffic_switch_add() {
  local words=(ls-add "$TRAFFIC_SWITCH")
  while (($# > 0)); do
    words+=(-- lsp-add "$TRAFFIC_SWITCH" "$1" -- lsp-set-addresses "$1" "$2")
    shift 2
  done
  # Until the southbound database has the ports: what a chassis cannot see it cannot bind.
  ovn-nbctl --timeout=60 --wait=sb "${words[@]}"
}
_traffic_switch_remove() { ovn-nbctl --timeout=60 --wait=sb --if-exists ls-del "$TRAFFIC_SWITCH"; }

# traffic_switch_gone: neither the switch nor its ports are left, in the southbound database either.
traffic_switch_gone() {
  _traffic_begin 'traffic switch gone' || return 0
  if ! hash ovn-nbctl 2>/dev/null; then _report ok; return; fi
  _traffic_do "the logical switch $TRAFFIC_SWITCH may be left: the northbound database did not answer, or ovn-northd" \
    _traffic_switch_remove
  _report ok
}

# traffic_port PORT MAC ADDRESS/PREFIX UNDERLAY OVERHEAD SECONDS [MTU]: this node's port of the switch, as an OVS port
# in the namespace, within SECONDS. Fact traffic_mtu: the port's MTU in bytes, which is that of the device with the
# address UNDERLAY (or MTU, where that is less) without the OVERHEAD of a tunnel.
traffic_port() {
  local mtu
  _traffic_begin 'traffic port' || return 0
  _needs ovs-vsctl || _fail
  _traffic_underlay_mtu "$4" || _fail
  mtu=$REPLY
  if [[ -n ${7:-} ]] && (($7 < mtu)); then mtu=$7; fi
  mtu=$((mtu - $5))
  _traffic_do 'what an earlier probe left could not be removed' _traffic_port_remove
  _traffic_do 'the port could not be made' _traffic_port_add "$1" "$2" "$3" "$mtu"
  if ! _do ovs-vsctl --timeout="$6" wait-until Interface "$TRAFFIC_PORT" 'external_ids:ovn-installed="true"'; then
    MESSAGE="OVN did not bind the port $1 here within $6 s"
    OUTPUT=$(tail -n 12 /var/log/ovn/ovn-controller.log 2>&1)
    _fail
  fi
  _fact traffic_mtu "$mtu"
  _report ok
}
_traffic_underlay_mtu() {
  local device=''
  read -r _ device _ < <(ip -o -4 address show to "$1/32" 2>/dev/null)
  if [[ -z $device ]] || ! read -r REPLY <"/sys/class/net/$device/mtu"; then
    MESSAGE="no device here has the address $1: correct address in the inventory"
    return 1
  fi
}
_traffic_port_add() {
  ip netns add "$TRAFFIC_NAMESPACE"
  ovs-vsctl --timeout=30 add-port br-int "$TRAFFIC_PORT" -- set Interface "$TRAFFIC_PORT" type=internal \
    "mac=\"$2\"" "mtu_request=$4" "external_ids:iface-id=\"$1\""
  ip link set dev "$TRAFFIC_PORT" netns "$TRAFFIC_NAMESPACE"
  ip -n "$TRAFFIC_NAMESPACE" address add "$3" dev "$TRAFFIC_PORT"
  ip -n "$TRAFFIC_NAMESPACE" link set dev "$TRAFFIC_PORT" mtu "$4" up
}
_traffic_port_remove() {
  ovs-vsctl --timeout=20 --if-exists del-port "$TRAFFIC_PORT"
  if [[ -e /run/netns/$TRAFFIC_NAMESPACE ]]; then ip netns delete "$TRAFFIC_NAMESPACE"; fi
}

# traffic_port_gone: neither the OVS port nor the namespace is left.
traffic_port_gone() {
  local status
  _traffic_begin 'traffic port gone' || return 0
  if ! hash ovs-vsctl 2>/dev/null; then _report ok; return; fi
  _do _traffic_port_remove
  status=$?
  if ((status)); then
    _last "$STEPS_FOLDER/output"
    OUTPUT=$REPLY
    # An Open vSwitch that is down is somebody else's finding, unless there is a port to take out of it.
    if [[ ! -e /run/netns/$TRAFFIC_NAMESPACE ]]; then
      MESSAGE='Open vSwitch does not answer, and no probe has been here'
      _report ok
      return
    fi
    MESSAGE="the OVS port $TRAFFIC_PORT and the network namespace $TRAFFIC_NAMESPACE are left"
    _fail
  fi
  _report ok
}

# traffic_ping COUNT ADDRESS:BYTES...: from the namespace; see _traffic_pings.
traffic_ping() {
  _traffic_begin "ping $(($# - 1)) times $1" || return 0
  if [[ ! -e /run/netns/$TRAFFIC_NAMESPACE ]]; then
    MESSAGE="there is no network namespace $TRAFFIC_NAMESPACE: the port is not open"
    _fail
  fi
  _traffic_pings "$TRAFFIC_NAMESPACE" "$@"
  _report ok
}
# _traffic_pings NAMESPACE COUNT ADDRESS:BYTES...: ping all of them at once; each is an IP packet of BYTES that
# must not be fragmented, and is sent COUNT times once the address has answered, or has not for 5 seconds: the flows to
# a port that is new take a moment to reach every node. Facts "ping ADDRESS:BYTES": ANSWERS/COUNT, and in words
# what else came back.
_traffic_pings() {
  local said target words
  if ! said=$(_traffic_inside "$1" perl -e "$TRAFFIC_PERL" "${@:2}"); then
    # shellcheck disable=SC2034  # read by _report
    MESSAGE='the pings could not be sent' OUTPUT=$said
    _fail
  fi
  while read -r target words; do
    # A warning of Perl's is not an answer.
    if [[ $target =~ ^[0-9.]+:[0-9]+$ ]]; then _fact "ping $target" "$words"; fi
  done <<<"$said"
}
# _traffic_inside NAMESPACE WORDS: run a program without the descriptors of the step lines and of the lock. Perl, as
# ping is not on every host and perl-base is Essential on Debian and Ubuntu.
_traffic_inside() {
  (
    exec {STEPS_FD}>&-
    if [[ -n ${STEPS_LOCK:-} ]]; then exec {STEPS_LOCK}>&-; fi
    exec nsenter --net="/run/netns/$1" "${@:2}"
  ) 2>&1 </dev/null
}

# No single quote may stand in it.
# shellcheck disable=SC2016  # the variables are Perl's
TRAFFIC_PERL='
use strict; use warnings;
use Socket; use POSIX ();

# From linux/in.h, which Socket does not have. PROBE: do not fragment, and send whatever an earlier answer said.
use constant { IPPROTO_ICMP => 1, IP_MTU_DISCOVER => 10, IP_PMTUDISC_PROBE => 3 };
use constant { ECHO_REPLY => 0, UNREACHABLE => 3, ECHO => 8, FRAGMENTATION_NEEDED => 4, HEADERS => 28 };
use constant { FIRST => 5, AGAIN => 0.25, BETWEEN => 0.1, LAST => 2 };  # seconds
my ($count, @words) = @ARGV;
my @targets = map { my ($address, $bytes) = split /:/; { name => $_, address => $address, bytes => $bytes, got => 0, error => "" } } @words;
my ($sequence, %sent) = (0);
my $id = $$ & 0xffff;

socket(my $socket, AF_INET, SOCK_RAW, IPPROTO_ICMP) or die "socket: $!\n";
setsockopt($socket, Socket::IPPROTO_IP, IP_MTU_DISCOVER, pack("i", IP_PMTUDISC_PROBE)) or die "setsockopt: $!\n";
setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack("i", 4_000_000));

# The first packet to each address, the smallest, until one is answered.
my %first;
for (sort { $a->{bytes} <=> $b->{bytes} } @targets) { $first{ $_->{address} } ||= { %$_ } }
my $until = now() + FIRST;
while ((my @silent = grep { !$_->{got} } values %first) && now() < $until) {
  ping($_) for @silent;
  hear(AGAIN, sub { !grep { !$_->{got} } @silent });
}
# Who did not answer may have been spoken of, and routers do not repeat themselves often.
$_->{error} = $first{ $_->{address} }{error} for @targets;
for (1 .. $count) {
  ping($_) for @targets;
  hear(BETWEEN, sub { 0 });
}
hear(LAST, sub { !grep { $_->{got} < $count } @targets });
print "$_->{name} $_->{got}/$count", $_->{got} < $count ? $_->{error} : "", "\n" for @targets;

# Seconds since some moment, never set back.
sub now { (POSIX::times())[0] / POSIX::sysconf(POSIX::_SC_CLK_TCK()) }

sub ping {
  my $target = shift;
  my $text = pack("CCnnn", ECHO, 0, 0, $id, ++$sequence & 0xffff) . "ovn-runbooks" x ($target->{bytes} / 12);
  $text = substr($text, 0, $target->{bytes} - HEADERS + 8);
  substr($text, 2, 2) = pack("n", checksum($text));
  $sent{ $sequence & 0xffff } = [$target, substr($text, 8)];
  $target->{error} = " $!" unless defined send($socket, $text, 0, pack_sockaddr_in(0, inet_aton($target->{address})));
}

# RFC 1071.
sub checksum {
  my $text = shift;
  $text .= "\0" if length($text) % 2;
  my $sum = unpack("%32n*", $text);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

# Take answers for some seconds, or until done.
sub hear {
  my ($seconds, $done) = @_;
  my $until = now() + $seconds;
  while (!$done->() && (my $left = $until - now()) > 0) {
    my $bits = "";
    vec($bits, fileno $socket, 1) = 1;
    next if select($bits, undef, undef, $left) <= 0;
    my $from = recv($socket, my $packet, 65535, 0);
    take(inet_ntoa((unpack_sockaddr_in($from))[1]), $packet) if defined $from;
  }
}

sub take {
  my ($from, $packet) = @_;
  my $text = inside($packet) // return;
  my ($type, $code, undef, $echo, $number) = unpack "CCnnn", $text;
  if ($type == ECHO_REPLY && $echo == $id && $sent{$number}) {
    my ($target, $payload) = @{ $sent{$number} };
    return if $from ne $target->{address} || substr($text, 8) ne $payload;
    delete $sent{$number};
    $target->{got}++;
  }
  elsif ($type == UNREACHABLE && defined(my $quoted = inside(substr $text, 8))) {
    # What is quoted is the packet that was sent, or its beginning.
    my (undef, undef, undef, $mine, $which) = unpack "CCnnn", $quoted;
    my $about = $mine == $id && $sent{$which} or return;
    $about->[0]{error} = $code == FRAGMENTATION_NEEDED ? " $from asks for packets of $number bytes" : " $from says unreachable, code $code";
  }
}

# What an IPv4 packet carries, if it is at least the head of an ICMP message.
sub inside {
  my $packet = shift;
  my $head = 4 * (ord($packet || "\0") & 15);
  return length $packet >= $head + 8 ? substr($packet, $head) : undef;
}
'
